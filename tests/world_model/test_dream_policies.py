import json

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import compose
from worldtokens.world_model import WorldModel, imagine
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.imagine import ImagineConfig
from worldtokens.world_model.rl.agents import AgentsInDream
from worldtokens.world_model.video.panels import make_header, make_panels


class Counter:
    """Goes through the actions in turn; notes what it saw."""

    def __init__(self):
        self.seen = []
        self.drawn = []

    def begin(self, rng):
        self.drawn.append(int(rng.integers(1000)))

    def act(self, frame):
        self.seen.append(frame)
        return len(self.seen) % 3


def reads_frames(num_actions):
    """A policy for the command line: RIGHT where the frame is bright, else LEFT."""

    def act(frame):
        assert frame.shape == (16, 32, 3) and frame.dtype == np.uint8 and num_actions == 3
        return 1 if frame.mean() > 127 else 2

    return act


def counts_tokens():
    def act(tokens):
        assert tokens.shape == (8,) and tokens.dtype == np.int64
        return int(tokens.sum()) % 3

    return act


def plays_too_high():
    return lambda frame: 3


def load(trained, dataset, tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    model = WorldModel.from_pretrained(trained / "FakeGame" / "world_model")
    held = EpisodeDataset(dataset, "heldout")
    return model, tokenizer, held, load_tokens(held, tokenizer).episodes


@pytest.mark.parametrize("sees", ["frames", "tokens", "embeddings"])
def test_agents_see_what_they_ask_for(trained, dataset, tokenizer_folder, sees):
    model, tokenizer, _, episodes = load(trained, dataset, tokenizer_folder)
    tokens = torch.from_numpy(episodes[0].tokens[None, :3].astype(np.int64)).expand(2, -1, -1)
    first, second = Counter(), Counter()
    agents = AgentsInDream([first, second], tokenizer, seed=5, observation=sees)
    assert first.drawn != second.drawn  # Each has a random stream of its own.
    agents.watch(tokens[:, :-1])
    rollout = model.imagine(tokens, torch.zeros(2, 2, dtype=torch.int64), agents, horizon=4)
    # Two frames watched, then the last known one and three imagined ones.
    assert len(first.seen) == 6
    shown = torch.cat((tokens[1], rollout.tokens[1, :3]))
    expected = {
        "frames": tokenizer.decode, "tokens": lambda all_tokens: all_tokens,
        "embeddings": tokenizer.embed,
    }[sees](shown)  # fmt: skip
    assert np.array_equal(np.stack(second.seen), expected.numpy())


def test_a_policys_actions_are_recorded_as_they_were_taken(trained, dataset, tokenizer_folder):
    model, tokenizer, held, episodes = load(trained, dataset, tokenizer_folder)
    agents = AgentsInDream([Counter(), Counter()], tokenizer, seed=0)
    agents.watch(torch.from_numpy(episodes[0].tokens[None, 4:5].astype(np.int64)).expand(2, 1, -1))
    found = roll_out(model, [(episodes[0], 4)], 2, 5, actions=agents, samples=2, top_k=1)
    # The first act was for the frame that was only watched.
    assert found.actions.tolist() == [[2, 0, 1, 2, 0]] * 2
    same = roll_out(model, [(episodes[0], 4)], 2, 5, actions=found.actions, samples=2, top_k=1)
    assert torch.equal(same.rollout.tokens, found.rollout.tokens)
    header = make_header(found, held.action_meanings)
    assert header[2:] == ["step +1   LEFT", "step +2   NOOP", "step +3   RIGHT", "step +4   LEFT",
                          "step +5   NOOP"]  # fmt: skip


def test_dreams_that_differ_in_actions_say_so_below_and_go_dark_after_the_end(
    trained, dataset, tokenizer_folder
):
    model, tokenizer, held, episodes = load(trained, dataset, tokenizer_folder)
    actions = torch.tensor([[1, 1, 1], [2, 0, 2]])
    found = roll_out(model, [(episodes[0], 4)], 2, 3, actions=actions, samples=2, top_k=1)
    found.rollout.rewards.copy_(torch.tensor([[0.0, 100, 0], [0, 0, 0]]))
    found.rollout.ends.copy_(torch.tensor([[False, True, False], [False, False, False]]))
    assert make_header(found, held.action_meanings)[2:] == [
        "step +1   ",
        "step +2   ",
        "step +3   ",
    ]
    first, second = make_panels(found, held, tokenizer, ["a", "b"], False)
    assert first.captions == [
        "known frame", "known frame", "RIGHT  reward 0", "!RIGHT  reward 100  END",
        "RIGHT  reward 0",
    ]  # fmt: skip
    assert second.captions[2:] == ["LEFT  reward 0", "NOOP  reward 0", "LEFT  reward 0"]
    frames = tokenizer.decode(found.rollout.tokens[0]).numpy()
    assert np.array_equal(first.frames[3], frames[1])
    assert np.array_equal(first.frames[4], frames[2] // 3)


def options(trained, dataset, *more):
    return ["env=FakeGame", f"root={trained}", f"data={dataset}", "count=1", "horizon=6", *more]


def write(trained, dataset, *more):
    imagine.main(compose(ImagineConfig, "imagine", options(trained, dataset, *more)))
    return json.loads((trained / "FakeGame" / "dreams" / "dream_00.json").read_text())


def test_a_policy_plays_in_every_sample(trained, dataset):
    about = write(trained, dataset, "policy=random", "samples=3", "top_k=null")
    actions = [tuple(dream["actions"]) for dream in about["dreams"]]
    assert len(set(actions)) == 3 and about["policy"]["name"] == "random"
    assert "real_rewards" not in about
    again = write(trained, dataset, "policy=random", "samples=3", "top_k=null")
    assert again == about


@pytest.mark.parametrize(
    ("name", "sees"), [("reads_frames", "frames"), ("counts_tokens", "tokens")]
)
def test_any_function_plays(trained, dataset, name, sees, monkeypatch):
    monkeypatch.setattr(
        "worldtokens.collect.policies.policy.resolve_name", lambda dotted: globals()[dotted]
    )
    about = write(trained, dataset, f"+policy._target_={name}", f"observation={sees}")
    (dream,) = about["dreams"]
    assert set(dream["actions"]) <= {0, 1, 2} and len(dream["actions"]) == 6


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("policy=random", "actions=random"), "policy: it chooses the actions; leave out"),
        (("policy=random", "what_if=[LEFT]"), "policy: it chooses the actions; leave out"),
        (("policy=go_explore",), "policy=go_explore: needs an emulator; dreams are played by"),
        (("policy=random", "observation=ram"), "observation: expected one of .* got 'ram'"),
        (("+policy._target_=no.such",), "policy._target_: no.such cannot be imported"),
        (("policy=stable_baselines3",), "policy.checkpoint"),
        (("policy=stable_baselines3", "policy.checkpoint=no.zip"), "there is no file no.zip"),
    ],
)
def test_wrong_policies_are_named(trained, dataset, more, message):
    with pytest.raises(ValueError, match=message):
        write(trained, dataset, *more)


def test_an_agents_action_out_of_range_is_named(trained, dataset, monkeypatch):
    monkeypatch.setattr(
        "worldtokens.collect.policies.policy.resolve_name", lambda dotted: globals()[dotted]
    )
    with pytest.raises(ValueError, match=r"policy's actions: expected values in \[0, 3\), got 3"):
        write(trained, dataset, "+policy._target_=plays_too_high")


def test_agents_and_dreams_must_be_as_many(trained, dataset, tokenizer_folder):
    _, tokenizer, _, episodes = load(trained, dataset, tokenizer_folder)
    agents = AgentsInDream([Counter()], tokenizer, seed=0)
    with pytest.raises(ValueError, match="agents: expected one per dream, 2, got 1"):
        agents(torch.zeros(2, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match="observation: expected one of"):
        AgentsInDream([Counter()], tokenizer, seed=0, observation="sound")
