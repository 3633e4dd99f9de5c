"""The interface of all sources of frames."""

from typing import Protocol

import numpy as np


class FrameSource(Protocol):
    """Frames by index, in episodes: an EpisodeDataset or an ImageSource."""

    @property
    def game(self) -> str:
        """Name of the game."""
        ...

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def frame_starts(self) -> np.ndarray:
        """First frame of each episode, and the number of frames: int64 (episodes + 1,)."""
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
        """Returns the frames at int64 (n,) as uint8 (n, height, width, 3)."""
        ...


def check_frame_shape(
    data: str, shape: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    """Compares the frames of a dataset with those that a model takes.

    Args:
        data: The dataset in the error.
        shape: (height, width, 3) of its frames.
        expected: (height, width, 3) that the model takes.

    Raises:
        ValueError: They differ.
    """
    if tuple(shape) != tuple(expected):
        raise ValueError(
            f"data={data}: expected frames of {expected[0]}x{expected[1]}, as the model takes, "
            f"got {shape[0]}x{shape[1]}; set model.frame_height={shape[0]} and "
            f"model.frame_width={shape[1]}"
        )
