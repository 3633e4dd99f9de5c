"""What a policy is, and how one is made from the config."""

from collections.abc import Callable
from inspect import signature
from pkgutil import resolve_name
from typing import Any, Protocol, cast

import numpy as np

# How configs named our policies before all code lay below `worldtokens`, and how they do now.
_NEW_TARGETS = {
    "collect.policies.RandomPolicy": "worldtokens.collect.policies.RandomPolicy",
    "collect.policies.HeldRandomPolicy": "worldtokens.collect.policies.HeldRandomPolicy",
    "collect.human.HumanPolicy": "worldtokens.collect.policies.human.HumanPolicy",
    "collect.stable_baselines.StableBaselinesPolicy": (
        "worldtokens.collect.policies.stable_baselines.StableBaselinesPolicy"
    ),
}
_OLD_TARGETS = {new: old for old, new in _NEW_TARGETS.items()}


class Policy(Protocol):
    """Chooses an action for each frame of an episode."""

    def begin(self, rng: np.random.Generator) -> None:
        """Starts an episode; all of the episode's randomness comes from `rng`."""
        ...

    def act(self, frame: np.ndarray) -> int:
        """Returns the action for a frame, uint8 (H, W, 3)."""
        ...


class PolicyStopped(Exception):
    """Raised by a policy that ends the recording. What was played until then is recorded."""


class CallablePolicy:
    """Any function from a frame, uint8 (H, W, 3), to an action."""

    def __init__(self, function: Callable[[np.ndarray], int]) -> None:
        """Wraps a function."""
        self._function = function

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`; the function gets no generator."""

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        return int(self._function(frame))


def stable_node(node: dict[str, Any]) -> dict[str, Any]:
    """Returns a policy's config as the first version of the project would have spelled it."""
    target = node.get("_target_")
    return {**node, "_target_": _OLD_TARGETS.get(target, target)} if target else node


def make_policy(node: dict[str, Any], action_meanings: tuple[str, ...]) -> Policy:
    """Makes a policy from its node of the config.

    Args:
        node: Holds `_target_`, the dotted name of a class or function. It is called with the
            node's other keys except `name`, and with `num_actions` and `action_meanings` where it
            has arguments of these names. It returns a `Policy` or a function from a frame to an
            action.
        action_meanings: Names of the actions.

    Raises:
        ValueError: The target is missing, cannot be imported or called, or gives no policy.
    """
    if not isinstance(node, dict):
        raise ValueError(f"policy: expected the keys of a policy, got {node!r:.80}")
    arguments = {key: value for key, value in node.items() if key != "name"}
    if "_target_" not in arguments:
        raise ValueError("policy._target_: expected the dotted name of a policy's class, got none")
    name = arguments.pop("_target_")
    if not isinstance(name, str):
        raise ValueError(f"policy._target_: expected a dotted name, got {name!r:.80}")
    try:
        target = resolve_name(_NEW_TARGETS.get(name, name))
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"policy._target_: {name} cannot be imported ({error})") from None
    offered = {"num_actions": len(action_meanings), "action_meanings": action_meanings}
    taken = signature(target).parameters
    arguments |= {key: value for key, value in offered.items() if key in taken}
    try:
        policy = target(**arguments)
    except TypeError as error:
        raise ValueError(f"policy {name} cannot be made: {error}") from None
    if hasattr(policy, "begin") and hasattr(policy, "act"):
        return policy
    if callable(policy):
        return CallablePolicy(cast(Callable[[np.ndarray], int], policy))
    raise ValueError(
        f"policy._target_: expected {name} to return a Policy (begin, act) or a function from a "
        f"frame to an action, got {type(policy).__name__}"
    )
