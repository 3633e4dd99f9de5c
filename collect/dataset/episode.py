"""Episodes and the segments that training takes from them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

RAM_BYTES = 128
Start = Literal["reset", "restored"]


@dataclass(frozen=True)
class EpisodeInfo:
    """What is known of an episode without reading its frames.

    Attributes:
        id: unique in a dataset: the job's name and the episode's number in the job.
        seed: the environment's seed at the reset that the episode goes back to; it decides
            between training and held-out.
        start: "reset", or "restored" where the episode begins at a restored emulator state.
        num_steps: steps T; there are T + 1 frames.
        total_reward: sum of the rewards.
        start_cell: name of the Go-Explore cell that the episode starts from, else "".
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
        info: id, seed, start, length, return.
        frames: uint8 (T + 1, H, W, 3).
        actions: int64 (T,), indices into the action meanings.
        rewards: float32 (T,), unclipped.
        terminated: bool (T,), the game ended with this step.
        truncated: bool (T,), the episode was cut after this step.
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


@dataclass(frozen=True)
class SegmentBatch:
    """B windows of L consecutive frames, padded with zeros after the end of their episode.

    Attributes:
        frames: uint8 (B, L, H, W, 3).
        actions: int64 (B, L); actions[b, t] leads from frame t to frame t + 1.
        rewards: float32 (B, L), of the same transitions.
        terminated: bool (B, L), of the same transitions.
        truncated: bool (B, L), of the same transitions.
        mask: bool (B, L), True where the frame is real.
        action_mask: bool (B, L), True where the action, reward and ends are real: the last frame
            of an episode is real and has none.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    mask: np.ndarray
    action_mask: np.ndarray
