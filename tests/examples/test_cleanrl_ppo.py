"""PPO over tokens in one file: its parts by value, and tiny runs in the game and in dreams."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import make_env
from worldtokens.world_model import WorldModel, WorldModelConfig

SMALL = {"frame_height": 16, "frame_width": 24}


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("cleanrl_ppo")


@pytest.fixture
def arguments(example, tiny_tokenizer, tmp_path):
    """Tiny runs over a tokenizer, a world model with fresh weights and one recorded episode."""
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tiny_tokenizer.fingerprint, game="FakeGame", vocab_size=12, grid=(2, 3),
        num_actions=6, reward_values=[0.0, 100.0], context=4, layers=1, heads=2, width=16,
        copies=1, history=2, merge=1, stay_gate=False,
    )  # fmt: skip
    WorldModel(config).save_pretrained(tmp_path / "world_model")
    record(tmp_path / "data")
    words = (
        f"--game FakeGame --tokenizer {tmp_path}/tokenizer --world-model {tmp_path}/world_model "
        f"--starts {tmp_path}/data --out {tmp_path}/out --steps 60 --num-envs 4 --rollout-steps 5 "
        "--horizon 3 --frame-stack 2 --episode-steps 6 --policies 3 --episodes 2 --device cpu"
    )
    return example.parse(words.split())


def record(folder):
    env = make_env("FakeGame", **SMALL)
    shape = (16, 24, 3)
    write_description(folder, DatasetDescription(env.config, env.action_meanings, shape))
    writer = ShardWriter(folder / "shards", "test", shape)
    seen = [env.reset(seed=0)[0]] + [env.step(2)[0] for _ in range(8)]
    nothing = np.zeros(8, bool)
    writer.append(
        Episode(
            EpisodeInfo("e", 0, "reset", 8, 0.0),
            np.stack(seen),
            np.full(8, 2),
            nothing.astype(np.float32),
            nothing,
            np.arange(8) == 7,
            np.zeros((9, 128), np.uint8),
            np.zeros(9, np.uint8),
        )  # fmt: skip
    )
    writer.flush()


def test_advantages_by_hand(example, arguments):
    rewards = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    values = torch.tensor([[1.0, 0.5], [3.0, 4.0]])
    # The second environment's episode ended with the first step.
    done = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    last = torch.tensor([5.0, 6.0])
    advantages = example.advantages_of(rewards, values, done, last, arguments)
    after = 2.0 + 0.99 * 5.0 - 3.0
    assert advantages[1, 0].item() == pytest.approx(after)
    assert advantages[0, 0].item() == pytest.approx(0.99 * 3.0 - 1.0 + 0.99 * 0.95 * after)
    assert advantages[0, 1].item() == pytest.approx(1.0 - 0.5)
    assert advantages[1, 1].item() == pytest.approx(0.99 * 6.0 - 4.0)


def test_frames_begin_anew_where_episodes_do(example):
    frames = example.Frames(torch.tensor([[1], [2]]), 3)
    assert frames.stacked[:, :, 0].tolist() == [[1, 1, 1], [2, 2, 2]]
    frames.add(torch.tensor([[3], [4]]))
    frames.begin(torch.tensor([False, True]), torch.tensor([[8], [9]]))
    assert frames.stacked[:, :, 0].tolist() == [[1, 1, 3], [9, 9, 9]]


class Two:
    """Two environments: the first is truncated in each step, the second one ends in each."""

    def step(self, actions):
        final = np.full(2, None, object)
        final[0], final[1] = np.array([5]), np.array([6])
        yes, no = np.array([True, False]), np.array([False, True])
        return np.array([[1], [2]]), np.array([400.0, -3.0]), no, yes, {"final_obs": final}


def test_what_was_truncated_would_have_gone_on(example, arguments):
    arguments = dataclasses.replace(arguments, rollout_steps=1)
    agent = example.Agent(torch.randn(8, 3), 1, 6, 2)
    frames, scores = example.Frames(torch.tensor([[1], [2]]), 2), example.Scores(2)
    batch = example.roll(Two(), agent, frames, scores, arguments)
    tokens, _, _, values, advantages = (part[0] for part in batch)
    assert tokens[:, :, 0].tolist() == [[1, 1], [2, 2]]
    with torch.no_grad():
        after = agent(torch.tensor([[[1], [5]]]))[1].item()
    # Rewards are clipped to their signs; the score keeps them.
    assert advantages[0].item() == pytest.approx(1 + 0.99 * after - values[0].item(), abs=1e-6)
    assert advantages[1].item() == pytest.approx(-1 - values[1].item(), abs=1e-6)
    assert scores.finished == [400.0, -3.0] and scores.mean() == 198.5
    assert frames.stacked[:, :, 0].tolist() == [[1, 1], [2, 2]]


def test_the_loss_prefers_what_paid(example, arguments):
    torch.manual_seed(0)
    agent = example.Agent(torch.randn(8, 3), 2, 2, 1)
    tokens, actions = torch.randint(8, (40, 1, 2)), torch.randint(2, (40,))
    with torch.no_grad():
        policy, values = agent(tokens)
    batch = (
        tokens,
        actions,
        policy.log_prob(actions),
        values,
        torch.where(actions == 1, 1.0, -1.0),
    )
    optimizer = torch.optim.Adam(agent.parameters(), 1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        example.loss_of(agent, batch, arguments).backward()
        optimizer.step()
    assert agent(tokens)[0].probs[:, 1].mean() > policy.probs[:, 1].mean() + 0.02


def test_policies_are_saved_and_loaded(example, tmp_path):
    agent = example.Agent(torch.randn(8, 3), 4, 6, 3)
    agent.save(tmp_path / "policy.safetensors", {"steps": 7})
    loaded, facts = example.Agent.load(tmp_path / "policy.safetensors")
    assert facts == {"steps": 7, "stack": 3, "num_actions": 6, "num_tokens": 4}
    tokens = torch.randint(8, (5, 3, 4))
    assert torch.equal(loaded(tokens)[0].logits, agent(tokens)[0].logits)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match="policy: expected one of examples/cleanrl_ppo.py, got .*o"
    ):
        example.Agent.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("where", ["dream", "game"])
def test_a_tiny_run(example, arguments, tmp_path, where, capsys):
    arguments = dataclasses.replace(arguments, where=where)
    result = example.main(arguments)
    printed = capsys.readouterr().out
    assert f"PPO after 60 steps in the {where} 0.0, random play 0.0, NOOP held 0.0" in printed
    # Nothing can be scored in six steps of the fake game.
    assert result.trained == result.random == [0.0, 0.0]
    assert result.held == dict.fromkeys(("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN"), 0.0)
    steps = {"dream": (8, 60), "game": (60, 0)}[where]
    assert (result.real_steps, result.dream_steps) == steps
    folder = tmp_path / "out" / f"FakeGame_{where}_0"
    names = [f"policy_{steps:09d}.safetensors" for steps in (0, 40, 60)]
    assert sorted(path.name for path in folder.glob("*.safetensors")) == names
    first, last = (example.Agent.load(folder / name) for name in (names[0], names[-1]))
    assert (first[1]["steps"], last[1]["steps"], last[1]["where"]) == (0, 60, where)
    assert not torch.equal(first[0].policy.weight, last[0].policy.weight)
    with open(folder / "progress.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["steps"]) for row in rows] == [20, 40, 60]
    assert json.loads((folder / "scores.json").read_text()) == dataclasses.asdict(result)
    example.main(dataclasses.replace(arguments, out=str(tmp_path / "again")))
    again, _ = example.Agent.load(tmp_path / "again" / folder.name / names[-1])
    assert torch.equal(last[0].policy.weight, again.policy.weight)


def test_held_actions_and_agents_play_the_same_games(example, arguments, tiny_tokenizer):
    """Up in Freeway is worth playing for; an agent that always chooses it scores as much."""
    arguments = dataclasses.replace(
        arguments, game="Freeway", episode_steps=150, sticky=0.0, frame_skip=4
    )
    agent = example.Agent(torch.randn(12, 2), 6, 3, 2)
    with torch.no_grad():
        agent.policy.weight.zero_()
        agent.policy.bias.copy_(torch.tensor([0.0, 100.0, 0.0]))
    held = [example.play(arguments, tiny_tokenizer, action) for action in range(3)]
    assert held[0] == held[2] == [0.0, 0.0] and sum(held[1]) >= 1
    assert example.play(arguments, tiny_tokenizer, agent) == held[1]


def test_wrong_arguments_are_named(example):
    with pytest.raises(ValueError, match="--where: expected dream or game, got 'sleep'"):
        example.parse(["--where", "sleep"])
    with pytest.raises(ValueError, match="policies: expected a whole number of at least 2, got 1"):
        example.parse(["--policies", "1"])
