from types import SimpleNamespace

import numpy as np
import pytest
from dot_env import DotEnv, RenderedEnv
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from worldtokens.envs.actions import discrete_actions


def made(space, names=None, **inner):
    env = SimpleNamespace(action_space=space, unwrapped=SimpleNamespace(**inner))
    return discrete_actions(env, names, "Game")


def test_numbers_begin_where_the_space_does():
    actions = made(Discrete(3, start=5))
    assert actions.meanings == ("A0", "A1", "A2")
    assert [actions.to_inner(n) for n in range(3)] == [5, 6, 7]


def test_parts_are_flattened_and_named():
    actions = discrete_actions(DotEnv(), None, "Game")
    assert actions.meanings == ("A0_0", "A0_1", "A1_0", "A1_1", "A2_0", "A2_1")
    assert actions.to_inner(0).tolist() == [-1, 1] and actions.to_inner(5).tolist() == [1, 2]
    assert all(DotEnv().action_space.contains(actions.to_inner(n)) for n in range(6))
    binary = made(MultiBinary(2))
    assert [binary.to_inner(n).tolist() for n in range(4)] == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_names_are_the_users_then_the_environments():
    assert discrete_actions(RenderedEnv(), None, "Game").meanings == ("LEFT", "RIGHT")
    assert made(Discrete(2), get_action_meanings=lambda: ["noop", "go!"]).meanings == (
        "NOOP", "GO_",
    )  # fmt: skip
    assert made(Discrete(2), ["up", "down"], actions=int).meanings == ("UP", "DOWN")
    # Names of another number of actions are none.
    assert made(Discrete(2), get_action_meanings=lambda: ["x"]).meanings == ("A0", "A1")


@pytest.mark.parametrize("names", (["a"], ["a", "A"], ["a", "b", "c"], ["", "b"]))
def test_names_that_do_not_fit_are_refused(names):
    with pytest.raises(ValueError, match="action_names: expected 2 different names for the action"):
        made(Discrete(2), names)


def test_continuous_actions_are_refused_in_one_line():
    with pytest.raises(ValueError, match="expected discrete actions, got Box.* of Game; ") as error:
        made(Box(-1, 1, (2,), np.float32))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="expected at most 256 actions, got 1024 of Game"):
        made(MultiDiscrete([32, 32]))
