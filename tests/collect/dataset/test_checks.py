import dataclasses

import numpy as np
import pytest

from worldtokens.collect.dataset.checks import check_episode

SHAPE = (8, 8, 3)


def check(episode, num_actions=6, **changes):
    check_episode(dataclasses.replace(episode, **changes), SHAPE, num_actions)


def flags(*steps):
    values = np.zeros(4, np.bool_)
    values[list(steps)] = True
    return values


def test_a_right_episode_passes(make_episode):
    check(make_episode(0, 4))
    check(make_episode(1, 4), num_actions=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"actions": np.array([0, 1, 17, 2])}, r"expected numbers in \[0, 6\), got 17 at step 2"),
        ({"actions": np.array([0, -1, 1, 2])}, "got -1 at step 1"),
        ({"actions": np.array([0, 0.5, 1, 2])}, "actions: expected integer, got float64"),
        ({"actions": np.zeros((4, 2), int)}, r"actions: expected shape \(4,\), got \(4, 2\)"),
        (
            {"rewards": np.array([0, 0, np.nan, 0], np.float32)},
            "rewards: expected finite numbers, got nan at step 2",
        ),
        ({"rewards": np.array([np.inf, 0, 0, 0], np.float32)}, "got inf at step 0"),
        ({"terminated": flags(1, 3)}, "end at the last step only, got one at step 1 of 4; cut"),
        ({"terminated": flags()}, "expected the last step .*, got neither"),
        ({"truncated": flags(3)}, "expected the last step .*, got both"),
        ({"frames": np.zeros((5, *SHAPE), np.float32)}, "frames: expected uint8, got float32"),
        ({"frames": np.zeros((4, *SHAPE), np.uint8)}, r"expected shape \(5, 8, 8, 3\), got \(4"),
        ({"frames": [1]}, "frames: expected uint8, got list"),
        ({"lives": np.zeros(4, np.uint8)}, r"lives: expected shape \(5,\), got \(4,\)"),
    ),
)
def test_each_value_is_checked(make_episode, changes, message):
    with pytest.raises(ValueError, match=f"episode job-00000000: .*{message}"):
        check(make_episode(0, 4), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"id": "../../evil"}, "expected an id that could name a file"),
        ({"id": ""}, "expected an id"),
        ({"id": "x" * 300}, "at most 255 bytes"),
        ({"start": 2}, "start: expected one of .*, got 2"),
        ({"num_steps": 0}, "num_steps: expected a whole number of at least 1, got 0"),
        ({"seed": -3}, "seed: expected a whole number of at least 0, got -3"),
        ({"total_reward": float("nan")}, "total_reward: expected a finite number, got nan"),
        ({"start_cell": "c" * 65}, "start_cell: expected a name of at most 64 bytes"),
    ),
)
def test_the_table_is_checked(make_episode, changes, message):
    episode = make_episode(0, 4)
    with pytest.raises(ValueError, match=message):
        check(episode, info=dataclasses.replace(episode.info, **changes))
