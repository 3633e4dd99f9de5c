"""Frames to train and to judge a tokenizer on."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tokenizer.evaluation import HeldoutFrames
from tokenizer.metrics import MEDIAN_FRAMES, SceneBackgrounds, score_rows

# The held-out frames of a figure are the same in every run.
HELDOUT_SEED = 0


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


@dataclass
class FrameBatch:
    """Drawn frames.

    Attributes:
        frames: uint8 (n, height, width, 3).
        foreground: bool (n, height, width), or None where it was not asked for.
    """

    frames: Tensor
    foreground: Tensor | None

    def to(self, device: torch.device) -> "FrameBatch":
        """The same on a device."""
        foreground = None if self.foreground is None else self.foreground.to(device)
        return FrameBatch(self.frames.to(device), foreground)


class TrainingFrames:
    """Single frames, drawn at random.

    Attributes:
        num_frames: How many there are to draw from.
    """

    def __init__(
        self, source: FrameSource, balance: bool, backgrounds: SceneBackgrounds | None = None
    ):
        """Prepares the drawing.

        Args:
            source: Where the frames are.
            balance: Draw every scene equally often, however many frames it has.
            backgrounds: By which the foreground of drawn frames is marked; None to leave it out.
        """
        self._source = source
        self._backgrounds = backgrounds
        self.num_frames = source.num_frames
        self._cumulative = None
        if balance:
            _, scene, sizes = np.unique(source.scene, return_inverse=True, return_counts=True)
            self._cumulative = np.cumsum(1.0 / (len(sizes) * sizes[scene]))

    def draw(self, count: int, rng: np.random.Generator) -> FrameBatch:
        """Draws frames with replacement, on the CPU."""
        total = self._source.num_frames
        if self._cumulative is None:
            indices = rng.integers(total, size=count)
        else:
            indices = np.searchsorted(self._cumulative, rng.random(count), side="right")
            indices = indices.clip(max=total - 1)
        frames = self._source.gather_frames(indices)
        foreground = None
        if self._backgrounds is not None:
            mask = self._backgrounds.foreground(frames, self._source.scene[indices])
            foreground = torch.from_numpy(mask)
        return FrameBatch(torch.from_numpy(frames), foreground)


def load_heldout(
    source: EpisodicSource, backgrounds: SceneBackgrounds | None, count: int
) -> HeldoutFrames:
    """Draws frames that have a next one, evenly over all episodes, and marks their foreground.

    Where no frame has a next one, any are drawn.

    Args:
        source: The held-out episodes.
        backgrounds: See fit_backgrounds; None where nothing is foreground.
        count: Number of frames; fewer where the source has fewer.
    """
    last = source.frame_starts[1:] - 1
    with_next = np.setdiff1d(np.arange(source.num_frames), last)
    candidates = with_next if len(with_next) else np.arange(source.num_frames)
    rng = np.random.default_rng(HELDOUT_SEED)
    indices = np.sort(rng.choice(candidates, size=min(count, len(candidates)), replace=False))
    frames, scenes = source.gather_frames(indices), source.scene[indices]
    foreground = np.zeros(frames.shape[:3], bool)
    if backgrounds is not None:
        foreground = backgrounds.foreground(frames, scenes)
    return HeldoutFrames(
        frames=frames,
        following=source.gather_frames(indices + 1) if len(with_next) else None,
        scenes=scenes,
        foreground=foreground,
    )


def fit_backgrounds(source: FrameSource) -> SceneBackgrounds:
    """The median frame of every scene.

    Args:
        source: All episodes, held-out ones too: the backgrounds define what is foreground, and are
            no part of what is learned.
    """
    chosen = []
    for scene in np.unique(source.scene):
        (where,) = np.nonzero(source.scene == scene)
        even = np.linspace(0, len(where) - 1, min(len(where), MEDIAN_FRAMES)).astype(int)
        chosen.append(where[even])
    indices = np.sort(np.concatenate(chosen))
    rows = score_rows(source.game, source.frame_shape[0])
    return SceneBackgrounds.fit(source.gather_frames(indices), source.scene[indices], rows)


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
