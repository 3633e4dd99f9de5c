"""Policies: who chooses the actions."""

from worldtokens.collect.policies.policy import (
    CallablePolicy,
    Policy,
    PolicyStopped,
    make_policy,
)
from worldtokens.collect.policies.random_actions import HeldRandomPolicy, RandomPolicy

__all__ = [
    "CallablePolicy",
    "HeldRandomPolicy",
    "Policy",
    "PolicyStopped",
    "RandomPolicy",
    "make_policy",
]
