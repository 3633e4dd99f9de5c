"""The policy for environments whose states cannot be restored."""

from typing import Any

from worldtokens.collect.go_explore.config import GO_EXPLORE
from worldtokens.envs import FrameEnv

# configs/policy/held_random.yaml; with the holding time of the policy that it replaces.
HELD_RANDOM = {
    "name": "held_random",
    "_target_": "worldtokens.collect.policies.HeldRandomPolicy",
    "mean_hold": 10,
}


def possible_policy(policy: dict[str, Any], env: FrameEnv) -> dict[str, Any]:
    """Returns the policy, or held_random where it is go_explore and states cannot be restored.

    Args:
        policy: The config of the policy.
        env: Tells whether its states can be restored, which it tries where it is not known.
    """
    if policy.get("name") != GO_EXPLORE:
        return policy
    problem = env.restoring_problem
    if not problem:
        return policy
    print(f"note: {problem}; policy=held_random from resets takes the place of go_explore")
    return HELD_RANDOM
