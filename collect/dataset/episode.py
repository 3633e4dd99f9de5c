"""Episodes: what was played, and what is known of it without reading its frames."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

RAM_BYTES = 128
Start = Literal["reset", "restored"]


@dataclass(frozen=True)
class EpisodeInfo:
    """What is known of an episode without reading its frames.

    Attributes:
        id: Unique in a dataset: the job's name and the episode's number in the job.
        seed: The environment's seed at the reset that the episode goes back to; it decides
            between training and held-out.
        start: "reset", or "restored" where the episode begins at a restored emulator state.
        num_steps: Steps T; there are T + 1 frames.
        total_reward: Sum of the rewards.
        start_cell: Name of the Go-Explore cell that the episode starts from; or of the event that
            it starts shortly before, such as "reward:100@CELL"; else "".
    """

    id: str
    seed: int
    start: Start
    num_steps: int
    total_reward: float
    start_cell: str = ""


@dataclass(frozen=True)
class Episode:
    """T steps and T + 1 frames; step t leads from frame t to frame t + 1.

    Attributes:
        info: What is known without the arrays.
        frames: uint8 (T + 1, H, W, 3).
        actions: int64 (T,), indices into the action meanings.
        rewards: float32 (T,), unclipped.
        terminated: bool (T,), True where the game ended with this step.
        truncated: bool (T,), True where the episode was cut after this step.
        ram: uint8 (T + 1, 128), zeros where the source had none.
        lives: uint8 (T + 1,).
    """

    info: EpisodeInfo
    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    ram: np.ndarray
    lives: np.ndarray

    def __repr__(self) -> str:
        """Says in one line what the episode is; its arrays would fill a screen."""
        height, width = self.frames.shape[1:3]
        return (
            f"Episode({self.id}, {self.num_steps} steps, {height}x{width} frames, "
            f"reward {self.info.total_reward:g})"
        )

    @property
    def id(self) -> str:
        """The episode's id."""
        return self.info.id

    @property
    def seed(self) -> int:
        """The environment's seed."""
        return self.info.seed

    @property
    def start(self) -> Start:
        """How the episode begins."""
        return self.info.start

    @property
    def num_steps(self) -> int:
        """Steps T."""
        return self.info.num_steps
