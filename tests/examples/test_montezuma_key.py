"""The agent of the key: its parts by value, and a tiny run in dreams and in the fake game."""

import csv
import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from worldtokens import EpisodeDataset, WorldModel, WorldModelConfig
from worldtokens.envs import EnvState, make_env
from worldtokens.world_model.data.segments import TokenEpisode

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("montezuma_key")
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def agents(example):
    return importlib.import_module("montezuma_agent")


@pytest.fixture
def words(explored, new_tiny_tokenizer, tmp_path):
    """A command line over models with fresh weights."""
    tokenizer = new_tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=12, grid=(2, 3),
        num_actions=6, reward_values=[0.0, 100.0], context=4, layers=1, heads=2, width=16,
        copies=1, history=2, merge=1, stay_gate=False,
    )  # fmt: skip
    WorldModel(config).save_pretrained(tmp_path / "world_model")
    text = (
        f"--data {explored} --tokenizer {tmp_path}/tokenizer --world-model {tmp_path}/world_model "
        f"--out {tmp_path}/out --updates 2 --rounds 1 --num-envs 4 --horizon 3 --distance 5 "
        "--farther 4 --ways 3 --tries 2 --goal 0"
    )
    return text.split()


def test_repeating_is_an_action_of_its_own(agents):
    torch.manual_seed(0)
    agent = agents.Agent(torch.randn(12, 3), (2, 3), 6)
    tokens = torch.randint(12, (2, agents.STACK, 6))
    policy, values = agent(tokens, torch.tensor([1, 4]))
    repeats = torch.tensor(1.4).sigmoid()
    for row, last in enumerate((1, 4)):
        expected = torch.full((6,), float((1 - repeats) / 6))
        expected[last] += repeats
        torch.testing.assert_close(policy.probs[row], expected)
    assert values.tolist() == [0.0, 0.0]
    seen = agents.Seen(tokens[:, 0])
    rng = np.random.default_rng(0)
    drawn = torch.stack([agent.draw(seen, rng) for _ in range(300)])
    # At first NOOP was played; it goes on with 0.80 + 0.03.
    assert 0.76 < (drawn == 0).float().mean() < 0.9 and len(drawn.unique()) == 6


def test_the_agent_sees_the_last_frames(agents):
    seen = agents.Seen(torch.tensor([[1], [2]]))
    assert seen.frames[:, :, 0].tolist() == [[1] * 4, [2] * 4] and seen.last.tolist() == [0, 0]
    seen.add(torch.tensor([3, 5]), torch.tensor([[7], [8]]))
    assert seen.frames[:, :, 0].tolist() == [[1, 1, 1, 7], [2, 2, 2, 8]]
    assert seen.last.tolist() == [3, 5]
    seen.begin(torch.tensor([False, True]), torch.tensor([[4], [6]]))
    assert seen.frames[:, :, 0].tolist() == [[1, 1, 1, 7], [6] * 4] and seen.last.tolist() == [3, 0]


def test_agents_are_saved_and_loaded(agents, tmp_path):
    agent = agents.Agent(torch.randn(8, 3), (2, 2), 5)
    agent.save(tmp_path / "agents" / "a.safetensors", {"steps": 7})
    loaded, facts = agents.Agent.load(tmp_path / "agents" / "a.safetensors")
    assert facts == {"steps": 7, "grid": [2, 2], "num_actions": 5}
    tokens, last = torch.randint(8, (5, agents.STACK, 4)), torch.arange(5)
    assert torch.equal(loaded(tokens, last)[0].logits, agent(tokens, last)[0].logits)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="agent: expected one of examples/montezuma_key.py, got"):
        agents.Agent.load(tmp_path / "other.safetensors")


def test_windows_end_so_many_steps_before_the_key(agents):
    steps = 9
    walk = agents.Walk(np.arange(steps + 1)[:, None], 10 + np.arange(steps), [b""] * steps)
    window = walk.window(3)
    # The last of them is the frame that a dream begins after, so frame 6 is the last known one.
    assert window.tokens[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert window.actions.tolist() == [13, 14, 15, 16] and window.name == "3"
    assert walk.window(9).tokens[:, 0].tolist() == [0, 1]
    assert walk.seen(6)[:, 0].tolist() == [3, 4, 5, 6]
    assert walk.seen(1)[:, 0].tolist() == [0, 0, 0, 1]


def test_episodes_are_cut_where_a_dream_would_end(agents):
    rewards = np.array([0, 0, 100, 0, 0], np.float32)
    none = np.zeros(5, bool)
    episode = TokenEpisode("e", np.arange(6)[:, None], np.arange(5), rewards, none, none)
    assert agents.cut(episode).tokens[:, 0].tolist() == [0, 1, 2]
    assert agents.cut(episode).actions.tolist() == [0, 1]
    lost = dataclasses.replace(episode, lives_lost=np.arange(5) == 1)
    assert len(agents.cut(lost)) == 1
    assert len(agents.cut(dataclasses.replace(episode, rewards=0 * rewards))) == 5


class Env:
    """Three dreams: the first one takes the key, the second loses a life, the third goes on."""

    def __init__(self):
        self.step_number, self.played, self.resets = 0, [], []

    def reset(self, options=None):
        self.resets.append(options["reset_mask"].tolist() if options else None)
        return np.full((3, 4), 9 if options else 0), {}

    def step(self, actions):
        self.played.append(actions.tolist())
        self.step_number += 1
        second = self.step_number == 2
        info = {"lives_lost": np.array([False, second, False])}
        rewards = np.array([100.0 * second, 0.0, 0.0])
        return (
            np.full((3, 4), self.step_number),
            rewards,
            np.zeros(3, bool),
            np.zeros(3, bool),
            info,
        )


class Watch:
    """Loses the third player in the third step, in the place of `LostPlayers`."""

    def __init__(self, reader, first):
        self.step_number, self.astray = 0, np.zeros(3, bool)

    def add(self, tokens):
        self.step_number += 1
        return np.array([self.step_number == 2, False, self.step_number == 3])


def test_dreams_end_with_the_key_a_life_or_a_lost_player(example, agents, monkeypatch):
    torch.manual_seed(0)
    agent = agents.Agent(torch.randn(12, 3), (2, 2), 6)
    dreams = example.dream(agent, Env(), None, 3, 0.0, False)
    assert dreams.rewards.T.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert dreams.alive.T.tolist() == [[True, True, False], [True, True, False], [True] * 3]
    assert dreams.done.T.tolist() == [[False, True, False], [False, True, False], [False] * 3]
    assert dreams.died.any(0).tolist() == [False, True, False] and not dreams.lost.any()
    # What the agent saw before the third step, and the value after it.
    assert dreams.frames[2, 0, :, 0].tolist() == [0, 0, 1, 2] and dreams.values.shape == (4, 3)
    monkeypatch.setattr(example, "LostPlayers", Watch)
    dreams = example.dream(agent, Env(), None, 3, 0.0, False)
    # The first one is paid where the player is lost: that is no payment.
    assert not dreams.rewards.any() and dreams.died.any(0).tolist() == [False, True, False]
    assert dreams.lost.T.tolist() == [[False, True, False], [False] * 3, [False, False, True]]
    # Nor where he has just jumped too far, and may come back.
    monkeypatch.setattr(Watch, "add", lambda self, tokens: np.zeros(3, bool))
    assert example.dream(agent, Env(), None, 3, 0.0, False).rewards.any()
    start = Watch.__init__
    monkeypatch.setattr(
        Watch, "__init__",
        lambda self, *a: (start(self, *a), setattr(self, "astray", np.ones(3, bool)))[0],
    )  # fmt: skip
    dreams = example.dream(agent, Env(), None, 3, 0.0, False)
    assert not dreams.rewards.any() and dreams.lost.any(0).tolist() == [True, False, False]


def test_dreams_that_ended_begin_anew(example, agents):
    torch.manual_seed(0)
    agent, env = agents.Agent(torch.randn(12, 3), (2, 2), 6), Env()
    dreams = example.dream(agent, env, None, 3, 0.0, True)
    assert env.resets == [None, [True, True, False]] and dreams.alive.all()
    assert dreams.done.T.tolist() == [[False, True, False], [False, True, False], [False] * 3]
    assert dreams.frames[2, :, :, 0].tolist() == [[9] * 4, [9] * 4, [0, 0, 1, 2]]
    assert dreams.last[2, :2].tolist() == [0, 0]


def test_a_sticky_dream_plays_the_action_before(example, agents):
    torch.manual_seed(0)
    agent, env = agents.Agent(torch.randn(12, 3), (2, 2), 6), Env()
    dreams = example.dream(agent, env, None, 3, 1.0, False)
    # Before the first step nothing was played, as in the game after a reset.
    assert env.played == [[0, 0, 0]] * 3 and dreams.actions.any()
    assert dreams.last[1:].tolist() == dreams.actions[:-1].tolist()


def test_advantages_by_hand(example, words):
    args = example.parse(words)
    rewards, values = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.25], [4.0]])
    zeros = {name: torch.zeros(2, 1) for name in ("frames", "last", "actions", "log_probs")}
    flags = {name: torch.zeros(2, 1, dtype=torch.bool) for name in ("alive", "lost", "died")}
    done = torch.tensor([[False], [True]])
    dreams = example.Dreams(**zeros, **flags, rewards=rewards, values=values, done=done)
    advantages = example.advantages_of(dreams, args)[:, 0].tolist()
    assert advantages[1] == pytest.approx(1.0 - 0.25)
    first = 0.99 * 0.25 - 0.5 + 0.99 * 0.95 * 0.75
    assert advantages[0] == pytest.approx(first)
    goes_on = dataclasses.replace(dreams, done=torch.zeros(2, 1, dtype=torch.bool))
    assert example.advantages_of(goes_on, args)[1, 0] == pytest.approx(1.0 + 0.99 * 4.0 - 0.25)


def test_the_agent_learns_what_pays(example, agents, words):
    """Action 3 pays at once, in a world without anything else."""

    class Paying(Env):
        def step(self, actions):
            rewards, never = 100.0 * (actions == 3), np.zeros(3, bool)
            return np.full((3, 4), 9), rewards, never, never, {"lives_lost": never}

    torch.manual_seed(0)
    args = dataclasses.replace(example.parse(words), epochs=4)
    agent = agents.Agent(torch.randn(12, 3), (2, 2), 6)
    optimizer = torch.optim.Adam(agent.parameters(), 3e-3)
    for _ in range(40):
        dreams = example.dream(agent, Paying(), None, 6, 0.0, True)
        example.learn(agent, optimizer, dreams, args, 0.0)
    seen = agents.Seen(torch.full((1, 4), 9))
    assert agent(seen.frames, seen.last)[0].probs[0, 3] > 0.8


def test_an_agent_that_imitates_does_what_the_ways_did(agents):
    torch.manual_seed(0)
    agent, actions = agents.Agent(torch.randn(12, 3), (2, 2), 6), np.array([3, 3, 4, 1])
    walk = agents.Walk(np.arange(5)[:, None] + np.zeros((1, 4), np.int64), actions, [b""] * 4)
    assert agents.clone([walk], agent, 150, 0) is agent
    frames = torch.from_numpy(np.stack([walk.seen(step) for step in range(4)]))
    policy, _ = agent(frames, torch.tensor([0, 3, 3, 4]))
    assert (policy.probs[range(4), actions] > 0.7).all()


def read(folder):
    with open(folder / "progress.csv") as file:
        return list(csv.DictReader(file))


def test_a_tiny_run_goes_on_where_it_stopped(example, agents, words, explored, tmp_path):
    (row,) = example.main(example.parse(words))
    assert (row.round, row.distance, row.dream_steps) == (1, 5, 2 * 4 * 3)
    played = EpisodeDataset(tmp_path / "out" / "seed_0" / "play")
    assert row.real_steps == EpisodeDataset(explored).num_steps + played.num_steps
    assert row.tries == len(played) >= 2 and played.env_config.repeat_action_probability == 0.25
    assert {info.start for info in played.infos} == {"restored"} and played.num_steps >= 30
    assert not (tmp_path / "out" / "seed_0" / "mixed").exists()
    # Another round goes on, and is what one run of two rounds makes.
    rows = example.main(example.parse([*words, "--rounds", "2"]))
    assert rows[0] == row and rows[1].distance == 9 and rows[1].dream_steps == 2 * row.dream_steps
    example.main(example.parse([*words, "--rounds", "2", "--out", f"{tmp_path}/again"]))
    folders = [tmp_path / name / "seed_0" for name in ("out", "again")]
    timeless = [[{**r, "seconds": ""} for r in read(folder)] for folder in folders]
    assert timeless[0] == timeless[1] and len(timeless[0]) == 2
    files = [folder / "agents" / "round_002.safetensors" for folder in folders]
    weights = [agents.Agent.load(file)[0].state_dict() for file in files]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    first = agents.Agent.load(folders[0] / "agents" / "round_001.safetensors")[0]
    assert not torch.equal(first.heads.bias, weights[0]["heads.bias"])


def test_tries_begin_on_the_known_ways(example, words, explored):
    run = example.Run(example.parse(words))
    env = make_env("FakeGame", frame_height=16, frame_width=24, max_episode_steps=300)
    for each in run.walks:
        env.restore_state(EnvState.from_bytes(each.states[-5]))
        rewards = [env.advance(action)[0] for action in each.actions[-5:].tolist()]
        assert rewards == [0.0, 0.0, 0.0, 0.0, 100.0]


@pytest.mark.slow
def test_the_world_model_goes_on_with_what_was_played(example, words, tmp_path):
    words = [*words, "--model-minutes", "0.02", "--old-shards", "1"]
    run = example.Run(example.parse(words))
    run.round()
    assert run.world_model == str(tmp_path / "out" / "seed_0" / "FakeGame" / "world_model_1")
    before = WorldModel.from_pretrained(tmp_path / "world_model")
    after = WorldModel.from_pretrained(run.world_model)
    assert after.config.reward_values[0] == 0.0 and after.config.layers == before.config.layers
    weights = before.network.state_dict(), after.network.state_dict()
    assert any(not torch.equal(weights[0][n], weights[1][n]) for n in weights[0] if n in weights[1])
    # The same command goes on in what was trained, one with another world model in that.
    assert example.Run(example.parse(words)).world_model == run.world_model
    before.save_pretrained(tmp_path / "other")
    other = example.Run(example.parse([*words, "--world-model", str(tmp_path / "other")]))
    assert other.world_model == str(tmp_path / "other")


@pytest.mark.slow
def test_the_world_model_goes_on_with_practice(example, words, explored, tmp_path):
    practice = tmp_path / "practice"
    options = ["--data", str(explored), "--out", str(practice), "--num-steps", "300"]
    made = importlib.import_module("montezuma_practice").main([*options, "--steps", "20"])
    assert made.num_steps >= 300 and made.env_config.repeat_action_probability == 0.25
    assert {info.start for info in made.infos} == {"restored"} and len(made) >= 15
    words = [*words, "--practice", str(practice), "--model-minutes", "0.02"]
    run = example.Run(example.parse(words))
    run.round()
    mixed = EpisodeDataset(tmp_path / "out" / "seed_0" / "mixed")
    played = EpisodeDataset(run.play).num_steps
    assert mixed.num_steps == made.num_steps + played
    assert run.rows[0].real_steps == EpisodeDataset(explored).num_steps + mixed.num_steps
    known = [run.walks[0].window(d) for d in range(1, 6)]
    steps, longest = sum(map(len, known)), max(map(len, run.practised))
    run.args = dataclasses.replace(run.args, practice_share=0.75)
    drawn = run.practice_episodes(known)
    assert 3 * steps - longest < sum(map(len, drawn)) <= 3 * steps
    assert {id(each) for each in drawn} <= {id(each) for each in run.practised}
    run.args = dataclasses.replace(run.args, practice_share=0.0)
    assert run.practice_episodes(known) == []


def test_a_share_above_one_is_refused(example, words):
    with pytest.raises(ValueError, match="--practice-share: expected a number in .0, 1., got 2"):
        example.parse([*words, "--practice-share", "2"])


@pytest.mark.slow
def test_an_agent_plays_beside_the_known_ways(example, words, explored, tmp_path):
    run, path = example.Run(example.parse(words)), tmp_path / "agent.safetensors"
    with torch.no_grad():
        run.agent.heads.bias[:] = torch.eye(len(run.agent.heads.bias))[3] * 100
        run.agent.heads.bias[-2] = -100
    run.agent.save(path, {"tokenizer": run.tokenizer.fingerprint})
    main = importlib.import_module("montezuma_practice").main
    options = ["--data", str(explored), "--out", str(tmp_path / "practice"), "--num-steps", "100"]
    tokenizer = words[words.index("--tokenizer") + 1]
    made = main([*options, "--steps", "20", "--agent", str(path), "--tokenizer", tokenizer])
    assert made.num_steps >= 100 and {info.start for info in made.infos} == {"restored"}
    assert {action for each in made.episodes for action in each.actions.tolist()} == {3}
    with pytest.raises(ValueError, match="expected an agent that reads tokens of tokenizer"):
        main([*options, "--agent", str(path)])
    with pytest.raises(ValueError, match="agent: expected a file agents/round_<n>"):
        main([*options, "--agent", str(tmp_path)])


def test_starts_lie_all_along_the_known_ways(example, words, explored):
    practice = importlib.import_module("montezuma_practice")
    walks = example.Run(example.parse(words)).walks
    starts = [*practice.starts_along(explored, 100.0, 1, len(walks), 3)]
    assert [each.state for each in starts] == [state for w in walks for state in w.states[::3]]
    rest = [w.actions[t:].tolist() for w in walks for t in range(0, len(w.actions), 3)]
    assert [list(each.actions) for each in starts] == rest


def test_a_follower_goes_on_as_the_way_did(example, tmp_path):
    practice = importlib.import_module("montezuma_practice")
    frames = np.arange(2 * 12, dtype=np.uint8).reshape(2, 2, 2, 3)
    names, ways = map(practice.digest, frames), (b"\1\2", b"\3")
    starts = [practice.Start(b"", name, way) for name, way in zip(names, ways, strict=True)]
    practice.save_ways(tmp_path / "ways.npz", starts)
    policy = practice.Follower(str(tmp_path / "ways.npz"), 0.0, 6)
    policy.begin(np.random.default_rng(0))
    # Only the first frame says where the way is; after its end actions are random.
    assert [policy.act(frames[0]), policy.act(frames[1])] == [1, 2]
    assert len({policy.act(frames[1]) for _ in range(200)}) == 6
    policy.begin(np.random.default_rng(0))
    assert policy.act(frames[1]) == 3


def test_a_follower_slips_and_comes_back_in_time(example, tmp_path):
    practice = importlib.import_module("montezuma_practice")
    frame, way = np.zeros((2, 2, 3), np.uint8), bytes([7]) * 20_000
    practice.save_ways(tmp_path / "ways.npz", [practice.Start(b"", practice.digest(frame), way)])
    policy = practice.Follower(str(tmp_path / "ways.npz"), 0.1, 6)
    policy.begin(np.random.default_rng(0))
    slipped = np.array([policy.act(frame) != 7 for _ in range(len(way))])
    # 10 steps between the ends of slips, then 4 steps of one, on average.
    assert slipped.mean() == pytest.approx(4 / (4 + 9), abs=0.03)
    starts = np.nonzero(np.diff(slipped.astype(int)) == 1)[0]
    assert len(slipped[slipped]) / len(starts) == pytest.approx(4 * 1.1, rel=0.1)


@pytest.mark.slow
def test_practice_follows_the_known_ways(example, explored, tmp_path):
    main = importlib.import_module("montezuma_practice").main
    options = ["--data", str(explored), "--out", str(tmp_path / "practice"), "--num-steps", "300"]
    made = main([*options, "--steps", "20", "--follow", "--slip", "0", "--sticky", "0"])
    assert any((each.rewards == 100).any() for each in made.episodes)
    with pytest.raises(ValueError, match="--follow: expected no --agent beside it"):
        main([*options, "--follow", "--agent", "x"])
    with pytest.raises(ValueError, match="--slip: expected a number in .0, 1., got 2"):
        main([*options, "--follow", "--slip", "2"])
