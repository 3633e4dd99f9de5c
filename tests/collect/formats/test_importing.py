import numpy as np
import pytest

from worldtokens.collect import EpisodeInfo
from worldtokens.collect.formats.importing import ImportedEpisode, to_episode


def imported(num_frames=4, num_steps=3, size=(4, 4), **changes):
    fields = {
        "frames": np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
        + np.zeros((num_frames, *size, 3), np.uint8),
        "actions": np.arange(num_steps),
        "rewards": np.ones(num_steps),
        "terminated": np.zeros(num_steps, bool),
        "truncated": np.zeros(num_steps, bool),
    }
    return ImportedEpisode(**{**fields, **changes})


def test_what_the_source_lacks_is_filled_in():
    episode = to_episode(imported(), 19, "import", (4, 4))
    assert (episode.id, episode.seed, episode.start) == ("import-00000019", 19, "reset")
    assert (episode.num_steps, episode.info.total_reward) == (3, 3.0)
    assert episode.truncated.tolist() == [False, False, True]
    assert episode.ram.shape == (4, 128) and not episode.ram.any()
    assert episode.lives.tolist() == [0] * 4


def test_what_the_source_knows_is_kept():
    ended = np.array([False, False, True])
    assert to_episode(imported(seed=5), 19, "import", (4, 4)).seed == 5
    episode = to_episode(imported(terminated=ended), 0, "import", (4, 4))
    assert episode.terminated.tolist() == [False, False, True] and not episode.truncated.any()
    info = EpisodeInfo("job-1", 7, "restored", 3, 2.5, "cell")
    assert to_episode(imported(info=info), 0, "import", (4, 4)).info == info


def test_frames_are_resized_by_area():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    frames[:, :2, :2] = 200
    frames[:, 0, 0] = 100
    episode = to_episode(imported(2, 1, frames=frames), 0, "import", (2, 2))
    # The mean of 100, 200, 200 and 200.
    assert episode.frames[0, :, :, 0].tolist() == [[175, 0], [0, 0]]


def test_arrays_that_do_not_fit_together_are_named():
    with pytest.raises(ValueError, match="episode 2: expected 3 rewards, .* got 1"):
        to_episode(imported(rewards=np.ones(1)), 2, "import", (4, 4))
    with pytest.raises(ValueError, match="episode 2: expected .* got 3 actions and 3 frames"):
        to_episode(imported(3), 2, "import", (4, 4))
    with pytest.raises(ValueError, match="got 0 actions and 1 frames"):
        to_episode(imported(1, 0), 2, "import", (4, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"actions": np.array([0, 1.5, 2])}, "actions: expected whole numbers, got 1.5 at step 1"),
        ({"actions": np.array([0, np.nan, 2])}, "actions: expected whole numbers, got nan"),
        ({"actions": np.zeros((3, 2))}, r"actions: expected one number for each step, .*\(3, 2\)"),
        ({"actions": np.array([0, 2**40, 1])}, "actions: expected small whole numbers"),
        ({"rewards": np.zeros((3, 1))}, r"rewards: expected one number for each step"),
        ({"terminated": np.array([0, 2, 1])}, "terminated: expected 0 or 1, got 2 at step 1"),
        ({"truncated": np.array([0, np.nan, 1])}, "truncated: expected 0 or 1, got nan at step 1"),
        ({"frames": np.zeros((4, 4, 4, 3))}, r"frames: expected uint8 \(N, H, W, 3\), got float64"),
        ({"frames": np.zeros((4, 4, 4, 1), np.uint8)}, r"frames: .* got uint8 \(4, 4, 4, 1\)"),
        ({"lives": np.array([3, 3, 300, 2])}, "lives: expected whole numbers from 0 to 255"),
    ),
)
def test_values_that_would_change_without_a_word_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"episode 7: {message}"):
        to_episode(imported(**changes), 7, "import", (4, 4))


def test_numbers_of_other_types_are_kept():
    episode = to_episode(
        imported(
            actions=np.array([2.0, 0.0, 1.0]), rewards=np.array([1, 0, -1]),
            terminated=np.array([0, 0, 1]), truncated=np.array([0.0, 0.0, 1.0]),
        ), 0, "import", (4, 4),
    )  # fmt: skip
    assert episode.actions.tolist() == [2, 0, 1] and episode.actions.dtype == np.int64
    assert episode.rewards.tolist() == [1, 0, -1]
    # Both at once: the game ended.
    assert episode.terminated.tolist() == [False, False, True] and not episode.truncated.any()
