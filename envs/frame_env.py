"""What every environment here is: frames of one size, named discrete actions, saved states."""

import operator
from abc import ABC, abstractmethod
from typing import Any

import gymnasium
import numpy as np

from worldtokens.envs.config import EnvConfig
from worldtokens.envs.state import EnvState


class FrameEnv(gymnasium.Env[np.ndarray, np.int64], ABC):
    """An environment whose observations are frames, uint8 (height, width, 3) RGB.

    Actions are Discrete, from 0. `info` holds "ram", uint8 (128,), and "lives", int; both are zero
    where the environment has no such thing. `AtariEnv` and `GymnasiumEnv` are the two kinds.

    Attributes:
        config: The settings.
        action_meanings: The name of each action.
    """

    config: EnvConfig
    action_meanings: tuple[str, ...]

    @property
    def conversion(self) -> str:
        """The rule by which pictures become frames, in words; "" for games of Atari."""
        return ""

    @property
    def restoring_problem(self) -> str:
        """Why saved states cannot be gone on from; "" where they can."""
        return ""

    @property
    @abstractmethod
    def frame(self) -> np.ndarray:
        """The present frame, uint8 (height, width, 3)."""

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Plays one step.

        Args:
            action: An index into `action_meanings`.

        Returns:
            The frame, the reward (unclipped; of all steps or frames that are one here), terminated,
            truncated and the info.

        Raises:
            TypeError: The action is no whole number.
            ValueError: No such action, or the episode has ended.
        """
        reward, terminated, truncated, info = self.advance(action)
        return self.frame, reward, terminated, truncated, info

    @abstractmethod
    def advance(self, action: np.int64 | int) -> tuple[float, bool, bool, dict[str, Any]]:
        """Plays one step without building its frame; `frame` builds it.

        Returns:
            The same as `step`, without the frame.
        """

    @abstractmethod
    def get_state(self) -> EnvState:
        """Returns the full state, from which `restore_state` goes on exactly.

        Raises:
            ValueError: The episode has ended, or states cannot be restored.
        """

    @abstractmethod
    def restore_state(self, state: EnvState) -> tuple[np.ndarray, dict[str, Any]]:
        """Goes on from a state of the same settings, of this process or another.

        Returns:
            The state's frame and the info, as `reset` does.

        Raises:
            ValueError: The state does not fit.
        """

    @abstractmethod
    def reseed(self, seed: int) -> None:
        """Goes on with another generator, so that restored episodes need not be the same."""

    def _check_step(self, action: np.int64 | int, is_over: bool) -> int:
        """Checks what every step checks; returns the action as Python's own number."""
        try:
            number = operator.index(action)
        except TypeError:
            raise TypeError(f"action: expected a whole number, got {action!r:.80}") from None
        count = len(self.action_meanings)
        if not 0 <= number < count:
            raise ValueError(f"action: expected a number in [0, {count}), got {number}")
        if is_over:
            raise ValueError(
                "step: expected an episode that goes on, got one that has ended; call reset() first"
            )
        return number

    def get_action_meanings(self) -> list[str]:
        """Returns the name of each action, as ale-py's environments do."""
        return list(self.action_meanings)
