"""The three autoreset modes, by value and as `ImaginedVectorEnv` keeps them."""

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from worldtokens.collect import EpisodeDataset
from worldtokens.world_model import ImaginedVectorEnv
from worldtokens.world_model.rl.autoreset import (
    masked_info,
    parse_autoreset_mode,
    read_reset_mask,
)

NEXT_STEP, SAME_STEP, DISABLED = (
    AutoresetMode.NEXT_STEP,
    AutoresetMode.SAME_STEP,
    AutoresetMode.DISABLED,
)


def test_modes_have_several_spellings():
    for given in (SAME_STEP, "SAME_STEP", "same_step", "SameStep"):
        assert parse_autoreset_mode(given) is SAME_STEP
    assert parse_autoreset_mode("disabled") is DISABLED
    message = "autoreset_mode: expected one of NEXT_STEP, SAME_STEP, DISABLED, got 'never'"
    with pytest.raises(ValueError, match=message):
        parse_autoreset_mode("never")


def test_masks_are_checked():
    mask = np.array([True, False])
    assert read_reset_mask({"reset_mask": mask}, 2) is mask
    assert read_reset_mask(None, 2) is None and read_reset_mask({}, 2) is None
    for wrong, error, found in (
        ([True, False], TypeError, "got list"),
        (np.array([1, 0]), TypeError, "got dtype int64"),
        (np.array([True]), ValueError, r"got shape \(1,\)"),
        (np.zeros(2, bool), ValueError, "with at least one True, got none"),
    ):
        with pytest.raises(error, match=rf"bool \(2,\).*{found}"):
            read_reset_mask({"reset_mask": wrong}, 2)
    with pytest.raises(ValueError, match=r"options: expected reset_mask or nothing, got \['x'\]"):
        read_reset_mask({"x": 1, "reset_mask": mask}, 2)


def test_info_of_some_environments():
    info = masked_info({"entropy": np.array([1.0, 2.0])}, np.array([False, True]))
    assert info["entropy"].tolist() == [0.0, 2.0] and info["_entropy"].tolist() == [False, True]


@pytest.fixture
def new_env(models, dataset):
    def make(mode, num_envs=4, observation="tokens", horizon=5):
        return ImaginedVectorEnv(
            *models, EpisodeDataset(dataset), num_envs, horizon, observation=observation,
            autoreset_mode=mode,
        )  # fmt: skip

    return make


def play(env, steps=25, seed=0):
    """Plays fixed actions; returns the first observations, and what each step gave."""
    rng = np.random.default_rng(1)
    first, _ = env.reset(seed=seed)
    taken = []
    for _ in range(steps):
        step = env.step(rng.integers(3, size=env.num_envs))
        taken.append(step)
        if env.autoreset_mode is DISABLED and (ended := step[2] | step[3]).any():
            observed, info = env.reset(options={"reset_mask": ended})
            assert info == {}
            taken[-1] = (*step, observed)
    return first, taken


def test_the_mode_is_told(new_env):
    for mode in AutoresetMode:
        env = new_env(mode.name)
        assert env.autoreset_mode is env.metadata["autoreset_mode"] is mode
    with pytest.raises(ValueError, match="autoreset_mode: expected one of"):
        new_env("sometimes")


@pytest.mark.parametrize("observation", ["tokens", "embeddings", "frames"])
def test_same_step_and_disabled_dream_alike(new_env, observation):
    """An agent that resets by the mask sees what SAME_STEP shows, and the ends are the same."""
    first, same = play(new_env(SAME_STEP, observation=observation, horizon=2))
    by_mask, disabled = play(new_env(DISABLED, observation=observation, horizon=2))
    assert np.array_equal(first, by_mask)
    ends = 0
    for one, other in zip(same, disabled, strict=True):
        for a, b in zip(one[1:4], other[1:4], strict=True):
            assert np.array_equal(a, b)
        ended, info = one[2] | one[3], one[4]
        assert ("final_obs" in info) == ended.any()
        if not ended.any():
            assert np.array_equal(one[0], other[0])
            continue
        ends += ended.sum()
        assert np.array_equal(one[0], other[5])
        assert np.array_equal(one[0][~ended], other[0][~ended])
        assert info["_final_obs"].tolist() == info["_final_info"].tolist() == ended.tolist()
        for index in range(4):
            final = info["final_obs"][index]
            assert (final is not None) == ended[index]
            if final is not None:
                assert np.array_equal(final, other[0][index])
        final_info = info["final_info"]
        assert final_info["_entropy"].tolist() == ended.tolist()
        assert np.array_equal(final_info["entropy"][ended], other[4]["entropy"][ended])
        assert info["_entropy"].tolist() == (~ended).tolist() and not info["entropy"][ended].any()
    assert ends > 10 and any(step[2].any() for step in same) and any(step[3].any() for step in same)


def test_same_step_needs_one_step_less_than_next_step(new_env):
    """Alone, a dream's stream is read in the same order, but for the ignored step's draws."""
    first, next_step = play(new_env(NEXT_STEP, num_envs=1), steps=6)
    other, same_step = play(new_env(SAME_STEP, num_envs=1), steps=6)
    assert np.array_equal(first, other)
    length = 1 + [bool(step[2][0] | step[3][0]) for step in next_step].index(True)
    for a, b in zip(next_step[: length - 1], same_step[: length - 1], strict=True):
        assert np.array_equal(a[0], b[0])
    end = same_step[length - 1]
    assert np.array_equal(end[4]["final_obs"][0], next_step[length - 1][0][0])
    assert not np.array_equal(end[0], next_step[length - 1][0])


def test_disabled_refuses_to_go_on_after_an_end(new_env, never_ending, models):
    never_ending(models[0])
    env = new_env(DISABLED, num_envs=2, horizon=1)
    env.reset(seed=0)
    env.step(np.zeros(2, np.int64))
    message = r"got ends in \[0, 1\]; call reset\(options=\{'reset_mask'"
    with pytest.raises(ResetNeeded, match=message):
        env.step(np.zeros(2, np.int64))
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"got ends in \[1\]"):
        env.step(np.zeros(2, np.int64))
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.step(np.zeros(2, np.int64))[3].tolist() == [True, True]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_masked_reset_seeds_its_rows_and_leaves_the_others(new_env, never_ending, models, steps):
    never_ending(models[0])
    env, alone = new_env(DISABLED, num_envs=3, horizon=50), new_env(DISABLED, num_envs=3)
    before, _ = env.reset(seed=0)
    for _ in range(steps):
        before, *_ = env.step(np.array([0, 1, 2]))
    mask = np.array([False, True, False])
    after, _ = env.reset(seed=[7, 8, 9], options={"reset_mask": mask})
    assert np.array_equal(after[~mask], before[~mask])
    assert np.array_equal(after[1], alone.reset(seed=[1, 8, 1])[0][1])
    # The one that was reset has its whole horizon before it again.
    for step in range(1, 51):
        *_, truncated, _ = env.step(np.array([0, 1, 2]))
        assert truncated.tolist() == [step == 50 - steps, step == 50, step == 50 - steps]
        if truncated.any():
            break


def test_dreams_from_single_frames_are_reset_before_their_first_step(models):
    frames = np.random.default_rng(0).integers(0, 256, (9, 16, 32, 3), dtype=np.uint8)
    env = ImaginedVectorEnv(*models, frames, 2, 5, observation="tokens", autoreset_mode=DISABLED)
    mask = np.array([True, False])
    with pytest.raises(ResetNeeded, match="expected a reset of all environments before"):
        env.reset(options={"reset_mask": mask})
    first, _ = env.reset(seed=0, options={"reset_mask": np.ones(2, bool)})
    again, _ = env.reset(seed=5, options={"reset_mask": mask})
    assert again[1].tolist() == first[1].tolist() and again[0].tolist() != first[0].tolist()
    known = models[1].encode(frames).tolist()
    assert again[0].tolist() in known
    env.step(np.zeros(2, np.int64))
