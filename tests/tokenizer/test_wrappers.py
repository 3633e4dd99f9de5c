"""The wrappers of tokenizer/wrappers.py, on the fake game."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FrameStackObservation

from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.wrappers import TokenObservation, VectorTokenObservation

SMALL = {"frame_height": 16, "frame_width": 24}
OBSERVATIONS = ("tokens", "embeddings", "frames")


@pytest.fixture(scope="module")
def tokenizer(new_tiny_tokenizer):
    return new_tiny_tokenizer()


def observation_of(tokenizer, frames, observation):
    """The right observation of frames, written out."""
    tokens = tokenizer.encode(frames)
    if observation == "tokens":
        return tokens.numpy()
    if observation == "embeddings":
        return tokenizer.embed(tokens).numpy()
    return tokenizer.decode(tokens).numpy()


def vector_env(mode, num_envs=3, **overrides):
    return gymnasium.make_vec(
        "worldtokens/FakeGame",
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **SMALL,
        **overrides,
    )


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_values(tokenizer, observation):
    plain, env = make_env("FakeGame", **SMALL), make_env("FakeGame", **SMALL)
    wrapped = TokenObservation(env, tokenizer, observation)
    frame, _ = plain.reset(seed=5)
    observed, info = wrapped.reset(seed=5)
    for action in (2, 3, 3, 5):
        assert np.array_equal(observed, observation_of(tokenizer, frame, observation))
        assert observed in wrapped.observation_space
        frame, reward, *_ = plain.step(action)
        observed, wrapped_reward, terminated, truncated, info = wrapped.step(action)
        assert (wrapped_reward, terminated, truncated) == (reward, False, False)
    assert len(np.unique(observed)) > 1
    assert info["ram"].tolist() == env.unwrapped._emulator.read_ram().tolist()


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_check_env(tokenizer, observation):
    env = gymnasium.make("worldtokens/FakeGame", **SMALL)
    check_env(TokenObservation(env, tokenizer, observation))


def test_the_rest_passes_through(tokenizer):
    env = make_env("FakeGame", **SMALL)
    wrapped = TokenObservation(env, tokenizer)
    wrapped.reset(seed=9)
    assert wrapped.np_random_seed == 9
    assert wrapped.metadata == env.metadata
    assert wrapped.render_mode == "rgb_array"
    assert np.array_equal(wrapped.render(), env.render())
    assert wrapped.action_space == env.action_space


def test_the_spec_makes_the_same_environment_again(tokenizer):
    env = TokenObservation(gymnasium.make("worldtokens/FakeGame", **SMALL), tokenizer, "embeddings")
    again = env.spec.make()
    assert again.observation_space == env.observation_space
    assert np.array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])


def test_stacking_what_the_wrapper_returns(tokenizer):
    env = TokenObservation(make_env("FakeGame", **SMALL), tokenizer)
    stacked = FrameStackObservation(env, 2)
    first, _ = stacked.reset(seed=1)
    second, *_ = stacked.step(2)
    assert first.shape == (2, 6)
    assert second[0].tolist() == first[1].tolist()


def test_wrong_arguments(tokenizer):
    with pytest.raises(ValueError, match=r"observation: expected one of \('tokens', .*'pixels'"):
        TokenObservation(make_env("FakeGame", **SMALL), tokenizer, "pixels")
    match = r"env: expected .* uint8 \(16, 24, 3\).*got Box\(0, 255, \(64, 64, 3\), uint8\); make "
    with pytest.raises(ValueError, match=match + "the environment with frame_height=16"):
        TokenObservation(make_env("FakeGame"), tokenizer)
    with pytest.raises(ValueError, match="stack frames after this wrapper"):
        TokenObservation(FrameStackObservation(make_env("FakeGame", **SMALL), 2), tokenizer)
    with pytest.raises(ValueError, match="env: expected observations that are frames"):
        VectorTokenObservation(gymnasium.make_vec("CartPole-v1", num_envs=2), tokenizer)


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_vector_values_equal_those_of_single_environments(tokenizer, observation):
    vector = VectorTokenObservation(vector_env(AutoresetMode.NEXT_STEP), tokenizer, observation)
    singles = [TokenObservation(make_env("FakeGame", **SMALL), tokenizer, observation)
               for _ in range(3)]  # fmt: skip
    assert vector.single_observation_space == singles[0].observation_space
    observed, _ = vector.reset(seed=[1, 2, 3])
    expected = [env.reset(seed=seed)[0] for seed, env in enumerate(singles, start=1)]
    assert np.array_equal(observed, np.stack(expected))
    assert observed in vector.observation_space
    observed, rewards, terminated, truncated, _ = vector.step(np.array([2, 3, 5]))
    expected = [env.step(action)[0] for env, action in zip(singles, (2, 3, 5), strict=True)]
    assert np.array_equal(observed, np.stack(expected)) and observed in vector.observation_space
    assert observed.dtype == vector.single_observation_space.dtype
    assert rewards.shape == terminated.shape == truncated.shape == (3,)


def test_frames_of_all_environments_are_encoded_in_one_call(tokenizer, monkeypatch):
    env = VectorTokenObservation(
        vector_env(AutoresetMode.SAME_STEP, max_episode_steps=1), tokenizer
    )
    shapes = []
    encode = tokenizer.encode

    def count(frames):
        shapes.append(frames.shape)
        return encode(frames)

    monkeypatch.setattr(tokenizer, "encode", count)
    env.reset(seed=0)
    env.step(np.zeros(3, np.int64))
    assert shapes == [(3, 16, 24, 3), (6, 16, 24, 3)]


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_same_step_autoreset_translates_the_final_frames(tokenizer, observation):
    # The guard kills at different moments, so that episodes end one by one.
    plain, inner = (
        vector_env(AutoresetMode.SAME_STEP, terminate_on_life_loss=True, max_episode_steps=40)
        for _ in range(2)
    )
    env = VectorTokenObservation(inner, tokenizer, observation)
    frames, _ = plain.reset(seed=[0, 8, 31])
    observed, _ = env.reset(seed=[0, 8, 31])
    ended = 0
    for step in range(90):
        actions = np.array([3, 3 + step // 20 % 2, 0])
        frames, *_, plain_infos = plain.step(actions)
        observed, *_, infos = env.step(actions)
        assert np.array_equal(observed, observation_of(tokenizer, frames, observation))
        assert ("final_obs" in infos) == ("final_obs" in plain_infos)
        if "final_obs" not in infos:
            continue
        assert infos["_final_obs"].tolist() == plain_infos["_final_obs"].tolist()
        for frame, final in zip(plain_infos["final_obs"], infos["final_obs"], strict=True):
            assert (frame is None) == (final is None)
            if frame is not None:
                ended += 1
                assert np.array_equal(final, observation_of(tokenizer, frame, observation))
    assert ended >= 6


def test_next_step_autoreset_shows_the_final_frame_as_an_observation(tokenizer):
    plain, inner = (vector_env(AutoresetMode.NEXT_STEP, 2, max_episode_steps=2) for _ in range(2))
    env = VectorTokenObservation(inner, tokenizer)
    plain.reset(seed=0)
    env.reset(seed=0)
    ends = []
    for _ in range(4):
        frames, *_ = plain.step(np.array([2, 5]))
        observed, _, _, truncated, infos = env.step(np.array([2, 5]))
        assert np.array_equal(observed, tokenizer.encode(frames).numpy())
        assert "final_obs" not in infos
        ends.append(truncated.tolist())
    assert ends == [[False] * 2, [True] * 2, [False] * 2, [False] * 2]


def test_autoreset_disabled_resets_by_mask(tokenizer):
    plain, inner = (vector_env(AutoresetMode.DISABLED, 2, max_episode_steps=2) for _ in range(2))
    env = VectorTokenObservation(inner, tokenizer)
    plain.reset(seed=0)
    env.reset(seed=0)
    plain.step(np.array([2, 5]))
    env.step(np.array([2, 5]))
    mask = np.array([False, True])
    frames, _ = plain.reset(seed=[1, 2], options={"reset_mask": mask.copy()})
    options = {"reset_mask": mask.copy()}
    observed, _ = env.reset(seed=[1, 2], options=options)
    assert np.array_equal(observed, tokenizer.encode(frames).numpy())
    assert options["reset_mask"].tolist() == mask.tolist()


def test_the_autoreset_mode_is_that_of_the_environment_inside(tokenizer):
    for mode in AutoresetMode:
        env = VectorTokenObservation(vector_env(mode, 1), tokenizer)
        assert env.autoreset_mode is env.metadata["autoreset_mode"] is mode
    env.metadata = {}
    assert not hasattr(env, "autoreset_mode")


def test_final_frames_in_one_array_and_without_a_mask(tokenizer):
    """Vector environments that are no gymnasium class may report them so."""
    env = vector_env(AutoresetMode.SAME_STEP, 2, max_episode_steps=1)
    wrapped = VectorTokenObservation(env, tokenizer)
    wrapped.reset(seed=0)
    step = env.step

    def dense(actions):
        *rest, infos = step(actions)
        return *rest, {"final_obs": np.stack(list(infos["final_obs"]))}

    env.step = dense
    *_, infos = wrapped.step(np.zeros(2, np.int64))
    assert [final.shape for final in infos["final_obs"]] == [(6,), (6,)]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_as_a_wrapper_in_make_vec(tokenizer, mode):
    env = gymnasium.make_vec(
        "worldtokens/FakeGame",
        num_envs=2,
        vectorization_mode=mode,
        vector_kwargs={"context": "spawn"} if mode == "async" else {},
        wrappers=[partial(TokenObservation, tokenizer=tokenizer, observation="embeddings")],
        **SMALL,
    )
    try:
        observed, _ = env.reset(seed=[1, 2])
        single = TokenObservation(make_env("FakeGame", **SMALL), tokenizer, "embeddings")
        assert np.array_equal(observed[1], single.reset(seed=2)[0])
        assert observed in env.observation_space
    finally:
        env.close()


def test_around_async_environments(tokenizer):
    inner = gymnasium.make_vec(
        "worldtokens/FakeGame",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        max_episode_steps=1,
        **SMALL,
    )
    env = VectorTokenObservation(inner, tokenizer)
    try:
        observed, _ = env.reset(seed=[1, 2])
        assert np.array_equal(observed, tokenizer.encode(inner.reset(seed=[1, 2])[0]).numpy())
        *_, infos = env.step(np.zeros(2, np.int64))
        assert infos["final_obs"][1].shape == (6,)
        assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    finally:
        env.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_the_tokenizer_stays_on_its_device(tokenizer, observation):
    there = Tokenizer(tokenizer.config).to("cuda")
    env = VectorTokenObservation(vector_env(AutoresetMode.NEXT_STEP), there, observation)
    observed, _ = env.reset(seed=0)
    assert isinstance(observed, np.ndarray) and observed in env.observation_space
    assert there.device.type == "cuda"
