"""Policies: who chooses the actions."""

from collections.abc import Callable
from inspect import signature
from pkgutil import resolve_name
from typing import Any, Protocol, cast

import numpy as np


class Policy(Protocol):
    """Chooses an action for each frame of an episode."""

    def begin(self, rng: np.random.Generator) -> None:
        """Start an episode; all of the episode's randomness comes from `rng`."""
        ...

    def act(self, frame: np.ndarray) -> int:
        """Return the action for a frame, uint8 (H, W, 3)."""
        ...


class PolicyStopped(Exception):
    """The policy will not go on: its person has left. What was played is recorded."""


class CallablePolicy:
    """Any function from a frame, uint8 (H, W, 3), to an action."""

    def __init__(self, function: Callable[[np.ndarray], int]) -> None:
        """Wrap a function."""
        self._function = function

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`; the function gets no generator."""

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        return int(self._function(frame))


def make_policy(node: dict[str, Any], action_meanings: tuple[str, ...]) -> Policy:
    """Make a policy from its node of the config.

    Args:
        node: `_target_`, a dotted name of something that is called with the node's other keys
            (but not with `name`), and with `num_actions` or `action_meanings`, whichever it has
            an argument for. It returns a `Policy` or a function from a frame to an action.
        action_meanings: names of the actions.

    Raises:
        ValueError: the target is missing, cannot be imported or made, or is no policy.
    """
    arguments = {key: value for key, value in node.items() if key != "name"}
    if "_target_" not in arguments:
        raise ValueError("policy._target_ is missing: the dotted name of a policy's class.")
    name = arguments.pop("_target_")
    try:
        target = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"policy._target_: {name} cannot be imported ({error}).") from None
    offered = {"num_actions": len(action_meanings), "action_meanings": action_meanings}
    taken = signature(target).parameters
    arguments |= {key: value for key, value in offered.items() if key in taken}
    try:
        policy = target(**arguments)
    except TypeError as error:
        raise ValueError(f"policy {name} cannot be made: {error}.") from None
    if hasattr(policy, "begin") and hasattr(policy, "act"):
        return policy
    if callable(policy):
        return CallablePolicy(cast(Callable[[np.ndarray], int], policy))
    raise ValueError(
        f"policy {name} made a {type(policy).__name__}, which is neither a "
        "Policy (begin, act) nor a function from a frame to an action."
    )
