"""Policies that draw actions at random."""

import math

import numpy as np

from worldtokens.common.checks import is_number


class RandomPolicy:
    """Draws every action uniformly."""

    def __init__(self, num_actions: int) -> None:
        """Chooses among `num_actions`."""
        self._num_actions = num_actions
        self._rng = np.random.default_rng(0)

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""
        self._rng = rng

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        return int(self._rng.integers(self._num_actions))


class HeldRandomPolicy:
    """Draws actions uniformly and holds each for a geometric number of steps.

    Uniform draws at every step cancel each other out, held actions move the player. The holding
    time follows Go-Explore (Ecoffet et al. 2021, "First return, then explore"): after each step the
    action is kept with probability 1 - 1 / mean_hold.
    """

    def __init__(self, num_actions: int, mean_hold: float) -> None:
        """Chooses among `num_actions`, each held for `mean_hold` steps on average.

        Raises:
            ValueError: `mean_hold` is below 1.
        """
        if not is_number(mean_hold) or not 1 <= mean_hold < math.inf:
            raise ValueError(f"policy.mean_hold: expected at least 1 step, got {mean_hold!r}")
        self._num_actions = num_actions
        self._mean_hold = mean_hold
        self._rng = np.random.default_rng(0)
        self._action = 0
        self._left = 0

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""
        self._rng = rng
        self._left = 0

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        if self._left == 0:
            self._action = int(self._rng.integers(self._num_actions))
            self._left = int(self._rng.geometric(1.0 / self._mean_hold))
        self._left -= 1
        return self._action
