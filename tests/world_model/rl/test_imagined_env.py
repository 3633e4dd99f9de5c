import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer.wrappers import VectorTokenObservation
from worldtokens.world_model import ImaginedVectorEnv, Sampling
from worldtokens.world_model.data.token_cache import load_tokens

GREEDY = Sampling(top_k=1)


def roll(env, actions, seed):
    observations, _ = env.reset(seed=seed)
    taken = [(observations, None, None, None)]
    for row in actions:
        observations, rewards, terminated, truncated, info = env.step(row)
        assert env.observation_space.contains(observations)
        assert info["entropy"].shape == (env.num_envs,) and (info["entropy"] >= 0).all()
        taken.append((observations, rewards, terminated, truncated))
    return taken


@pytest.mark.parametrize("observation", ["frames", "tokens", "embeddings"])
def test_observations_lie_in_their_space(models, dataset, observation):
    env = ImaginedVectorEnv(
        *models, start=EpisodeDataset(dataset), num_envs=3, horizon=4, observation=observation
    )
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observations, _ = env.reset(seed=0)
    assert env.observation_space.contains(observations)
    env.action_space.seed(0)
    for _ in range(6):
        observations, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observations)
    assert env.render()[2].shape == (16, 32, 3)


def test_truncation_at_the_horizon_then_a_reset_that_ignores_the_action(
    models, dataset, never_ending
):
    model, tokenizer = models
    model = never_ending(model)
    held = EpisodeDataset(dataset, "heldout")
    env = ImaginedVectorEnv(
        model, tokenizer, start=held, num_envs=2, horizon=3, observation="tokens"
    )
    taken = roll(env, np.ones((8, 2), np.int64), seed=0)
    truncated = [step[3].tolist() for step in taken[1:]]
    # Three steps, then one that resets: it pays nothing and returns the next dream's first frame.
    assert truncated == [[False] * 2, [False] * 2, [True] * 2, [False] * 2] * 2
    assert not any(step[2].any() for step in taken[1:])
    assert (taken[4][1] == 0).all()
    known = {tuple(frame) for e in held.episodes for frame in tokenizer.encode(e.frames).tolist()}
    assert all(tuple(row) in known for row in taken[4][0].tolist())


def test_an_end_of_one_dream_leaves_the_others_alone(models, dataset):
    model, tokenizer = models
    env = ImaginedVectorEnv(
        model, tokenizer, start=EpisodeDataset(dataset), num_envs=6, horizon=9, observation="tokens"
    )
    actions = np.random.default_rng(0).integers(3, size=(30, 6))
    taken = roll(env, actions, seed=3)
    ends = np.stack([step[2] for step in taken[1:]])
    assert 0 < ends.any(axis=1).sum() < 30  # They end at different times.
    alone = ImaginedVectorEnv(
        model, tokenizer, start=EpisodeDataset(dataset), num_envs=1, horizon=9, observation="tokens"
    )
    for index in (0, 4):
        single = roll(alone, actions[:, index : index + 1], seed=3 + index)
        for both, one in zip(taken, single, strict=True):
            assert np.array_equal(both[0][index], one[0][0])
            if both[1] is not None:
                assert [part[index] for part in both[1:]] == [part[0] for part in one[1:]]


def test_dreams_begin_with_the_whole_context_where_episodes_have_it(models, dataset, monkeypatch):
    model, tokenizer = models
    data = EpisodeDataset(dataset)
    read = []
    monkeypatch.setattr(model.imaginer, "read_known", lambda tokens, *_: read.append(tokens))
    for start in (data, load_tokens(data, tokenizer)):
        env = ImaginedVectorEnv(model, tokenizer, start, num_envs=32, horizon=3, context=4)
        for seed in range(3):
            env.reset(seed=seed)
    # Of 12 steps three have less than 4 frames behind them; none of 192 dreams began there.
    assert len(read) == 2 * 3 * 3


def test_numpy_seeds_and_no_options(models, dataset):
    env = ImaginedVectorEnv(*models, start=EpisodeDataset(dataset), num_envs=2, horizon=5)
    with pytest.raises(ResetNeeded, match="call reset before step"):
        env.step(np.zeros(2, np.int64))
    first, _ = env.reset(seed=np.int64(3))
    assert np.array_equal(first, env.reset(seed=[3, 4], options={})[0])
    with pytest.raises(
        ValueError, match=r"options: expected reset_mask or nothing, got \['start'\]"
    ):
        env.reset(options={"start": 3})


def test_spaces_are_those_of_the_real_game_behind_the_wrapper(models, dataset):
    model, tokenizer = models
    for observation in ("tokens", "embeddings"):
        env = ImaginedVectorEnv(
            model, tokenizer, EpisodeDataset(dataset), 2, 3, observation=observation
        )
        real = gymnasium.make_vec(
            "worldtokens/FakeGame", num_envs=2, vectorization_mode="sync", frame_height=16,
            frame_width=32,
        )  # fmt: skip
        wrapped = VectorTokenObservation(real, tokenizer, observation)
        assert env.single_observation_space == wrapped.single_observation_space
        assert env.observation_space == wrapped.observation_space
        real.close()


def test_the_same_seed_dreams_the_same_and_another_does_not(models, dataset):
    actions = np.random.default_rng(0).integers(3, size=(10, 2))
    env = ImaginedVectorEnv(*models, start=EpisodeDataset(dataset), num_envs=2, horizon=5)
    first, again, other = (roll(env, actions, seed) for seed in (1, 1, 7))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


def test_tokens_of_episodes_are_starts_too(models, dataset):
    model, tokenizer = models
    held = EpisodeDataset(dataset, "heldout")
    tokens = load_tokens(held, tokenizer)
    env = ImaginedVectorEnv(model, tokenizer, tokens, 4, 3, observation="tokens")
    observations, _ = env.reset(seed=0)
    known = {tuple(frame) for episode in tokens.episodes for frame in episode.tokens.tolist()}
    assert all(tuple(row) in known for row in observations.tolist())


def test_it_steps_as_imagine_does(models, dataset, never_ending):
    model, tokenizer = models
    model = never_ending(model)
    frames = EpisodeDataset(dataset).read_frames(5, 6)
    env = ImaginedVectorEnv(
        model, tokenizer, start=frames, num_envs=2, horizon=9, observation="tokens", sampling=GREEDY
    )
    actions = np.random.default_rng(0).integers(3, size=(6, 2))
    taken = roll(env, actions, seed=0)
    start = tokenizer.encode(frames).expand(2, -1)[:, None]
    dream = model.imagine(
        start, torch.zeros(2, 0, dtype=torch.int64), torch.from_numpy(actions.T.copy()), top_k=1
    )
    np.testing.assert_array_equal(np.stack([s[0] for s in taken[1:]], axis=1), dream.tokens.numpy())
    np.testing.assert_array_equal(
        np.stack([s[1] for s in taken[1:]], axis=1), dream.rewards.numpy()
    )


def test_outcomes_may_be_the_likeliest_while_tokens_are_drawn(models, dataset):
    model, tokenizer = models
    with torch.no_grad():
        model.network.reward_head[-1].weight.zero_()
        model.network.reward_head[-1].bias.copy_(torch.tensor([0.0, 1.0]))
    data = EpisodeDataset(dataset)
    found = []
    for outcomes in (GREEDY, None):
        env = ImaginedVectorEnv(model, tokenizer, data, 8, 50, outcomes=outcomes)
        found.append([step[1] for step in roll(env, np.zeros((5, 8), np.int64), seed=0)[1:]])
    assert set(np.unique(found[0])) <= {0.0, 100.0} and np.mean(found[0]) > np.mean(found[1]) > 0


def test_gymnasiums_wrappers_take_it(models, dataset, never_ending):
    model, tokenizer = models
    model = never_ending(model)
    env = RecordEpisodeStatistics(
        ImaginedVectorEnv(model, tokenizer, EpisodeDataset(dataset), num_envs=2, horizon=3)
    )
    env.reset(seed=0)
    for _ in range(3):
        *_, info = env.step(np.zeros(2, np.int64))
    assert info["episode"]["l"].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(context=5), "context: expected 1 to 4, the model's context, got 5"),
        (dict(num_envs=0), "num_envs: expected a whole number of at least 1, got 0"),
        (dict(horizon=0), "horizon: expected a whole number of at least 1, got 0"),
        (dict(observation="pixels"), "observation: expected one of .* got 'pixels'"),
        (dict(start=np.zeros((0, 16, 32, 3), np.uint8)), "start: expected at least one frame"),
        (dict(start=np.zeros((16, 32, 3), np.uint8)), "start: expected a dataset or frames"),
    ],
)
def test_wrong_arguments_are_named(models, dataset, change, message):
    arguments = {"start": EpisodeDataset(dataset), "num_envs": 2, "horizon": 3, **change}
    with pytest.raises(ValueError, match=message):
        ImaginedVectorEnv(*models, **arguments)


def test_wrong_actions_and_tokenizers_are_named(models, dataset, new_tokenizer):
    model, tokenizer = models
    env = ImaginedVectorEnv(model, tokenizer, EpisodeDataset(dataset), num_envs=2, horizon=3)
    env.reset(seed=0)
    for actions in (np.array([0, 3]), np.array([0]), np.array([0.0, 1.0])):
        with pytest.raises(ValueError, match=r"actions: expected integers \(2,\) in \[0, 3\)"):
            env.step(actions)
    with pytest.raises(ValueError, match="seed: expected 2 of them, got 3"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="trained on the tokens of tokenizer"):
        ImaginedVectorEnv(model, new_tokenizer(seed=2), EpisodeDataset(dataset), 2, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("sampling", "x"), ("outcomes", 1), ("world_model", None), ("tokenizer", "t"),
        ("with_entropy", 1), ("terminate_on_life_loss", "no"), ("start", None),
    ),
)  # fmt: skip
def test_arguments_of_other_types_are_named(models, name, value):
    model, tokenizer = models
    start = np.zeros((2, 16, 32, 3), np.uint8)
    right = dict(world_model=model, tokenizer=tokenizer, start=start, num_envs=1, horizon=2)
    with pytest.raises(TypeError, match=f"^{name}: expected "):
        ImaginedVectorEnv(**{**right, name: value})
