"""Frames to train and to judge a tokenizer on."""

from typing import Protocol

import numpy as np


class FrameSource(Protocol):
    """Frames by number, in episodes; collect.EpisodeDataset is one."""

    @property
    def game(self) -> str:
        """What the frames show."""
        ...

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(height, width, 3)."""
        ...

    @property
    def scene(self) -> np.ndarray:
        """The scene (room) of each frame, int64 (num_frames,); zeros where none are known."""
        ...

    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """Frames at int64 (n,) as uint8 (n, height, width, 3)."""
        ...


class EpisodicSource(FrameSource, Protocol):
    """A source that knows which frame follows which."""

    @property
    def frame_starts(self) -> np.ndarray:
        """First frame of each episode, and the number of frames: int64 (episodes + 1,)."""
        ...


def check_frame_shape(
    place: str, found: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    """Compares the frames of a dataset with those that a model takes.

    Raises:
        ValueError: They differ.
    """
    if tuple(found) != tuple(expected):
        raise ValueError(
            f"data={place}: its frames are {found[0]}x{found[1]}, the model takes "
            f"{expected[0]}x{expected[1]}; set model.frame_height={found[0]} and "
            f"model.frame_width={found[1]}"
        )
