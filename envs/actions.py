"""Discrete actions of any environment, flattened and named."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete

# Paths keep an action in a byte.
MOST_ACTIONS = 256


@dataclass(frozen=True)
class Actions:
    """The actions of an environment as numbers from 0.

    Attributes:
        meanings: A name for each, of letters, digits and underscores, in capitals.
        to_inner: Turns a number into what the environment takes.
    """

    meanings: tuple[str, ...]
    to_inner: Callable[[int], Any]


def discrete_actions(env: gymnasium.Env, names: Sequence[str] | None, label: str) -> Actions:
    """Flattens the actions of an environment.

    Args:
        env: With Discrete, MultiDiscrete or MultiBinary actions.
        names: A name for each; None for the environment's own (`get_action_meanings()`, or an Enum
            `actions`), else numbers: A0, A1 and so on, or A0_2 for parts 0 and 2.
        label: The environment in errors.

    Raises:
        ValueError: Other actions, too many, or names that do not fit.
    """
    space = env.action_space
    parts = space_parts(space)
    if parts is None:
        raise ValueError(
            f"env: expected discrete actions, got {space} of {label}; continuous ones must be made "
            "discrete, by an argument in env_config.kwargs or a wrapper in env_config._target_"
        )
    start, sizes = parts
    count = int(np.prod(sizes.astype(object)))
    if count > MOST_ACTIONS:
        raise ValueError(
            f"env: expected at most {MOST_ACTIONS} actions, got {count} of {label} ({space})"
        )

    def to_inner(action: int) -> Any:
        if isinstance(space, Discrete):
            return np.int64(action + start[0])
        parts = np.array(np.unravel_index(action, tuple(sizes))) + start
        assert space.shape is not None
        return parts.reshape(space.shape).astype(space.dtype)

    numbered = [
        "A" + "_".join(str(part) for part in np.unravel_index(action, tuple(sizes)))
        for action in range(count)
    ]
    own = _own_names(env, count)
    meanings = [_spelled(name) for name in names or own or numbered]
    if len(meanings) != count or len(set(meanings)) != count or not all(meanings):
        if names is None:
            meanings = numbered
        else:
            raise ValueError(
                f"env_config.action_names: expected {count} different names for the actions of "
                f"{label}, got {', '.join(map(str, names))}"
            )
    return Actions(tuple(meanings), to_inner)


def space_parts(space: gymnasium.Space) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the first number of each part of a space of actions, and how many it has.

    Returns:
        Integers (parts,) twice; None for actions that are not discrete.
    """
    if isinstance(space, Discrete):
        return np.array([space.start]), np.array([space.n])
    if isinstance(space, MultiDiscrete):
        return np.ravel(space.start), np.ravel(space.nvec)
    if isinstance(space, MultiBinary):
        return np.zeros(space.shape, int).ravel(), np.full(space.shape, 2).ravel()
    return None


def _own_names(env: gymnasium.Env, count: int) -> list[str] | None:
    """Returns the environment's own names of its actions, None where it has none."""
    inner = env.unwrapped
    if callable(meanings := getattr(inner, "get_action_meanings", None)):
        names: Any = meanings()
        return [str(name) for name in names]
    members = getattr(inner, "actions", None)
    if isinstance(members, type) and issubclass(members, Enum):
        by_number = {member.value: name for name, member in members.__members__.items()}
        if set(range(count)) <= by_number.keys():
            return [by_number[number] for number in range(count)]
    return None


def _spelled(name: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", str(name).upper())
