"""Frames to train a tokenizer on."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.tokenizer.data.frames import FrameSource


@dataclass
class FrameBatch:
    """Drawn frames.

    Attributes:
        frames: uint8 (n, height, width, 3).
        foreground: bool (n, height, width), or None where the loss does not need it.
    """

    frames: Tensor
    foreground: Tensor | None

    def to(self, device: torch.device) -> "FrameBatch":
        """Returns the same batch on a device."""
        foreground = None if self.foreground is None else self.foreground.to(device)
        return FrameBatch(self.frames.to(device), foreground)


class TrainingFrames:
    """Single frames, drawn at random.

    Attributes:
        num_frames: Number of different frames.
    """

    def __init__(
        self, source: FrameSource, balance: bool, backgrounds: SceneBackgrounds | None = None
    ):
        """Computes the probability of each frame.

        Args:
            source: The training frames.
            balance: Draw every scene equally often, however many frames it has.
            backgrounds: The backgrounds that mark the foreground of drawn frames; None to leave the
                foreground out.
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
        indices = self._draw_indices(count, rng)
        frames = self._source.gather_frames(indices)
        foreground = None
        if self._backgrounds is not None:
            mask = self._backgrounds.foreground(frames, self._source.scene[indices])
            foreground = torch.from_numpy(mask)
        return FrameBatch(torch.from_numpy(frames), foreground)

    def draw_pairs(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws frames, the same as `draw`, and the frame before each of them.

        Returns:
            Twice uint8 (count, height, width, 3); an episode's first frame stands before itself.
        """
        indices = self._draw_indices(count, rng)
        is_first = np.isin(indices, self._source.frame_starts[:-1])
        before = np.where(is_first, indices, indices - 1)
        # Pairs lie beside each other on disk: gathered together.
        both, where = np.unique(np.concatenate([indices, before]), return_inverse=True)
        frames = torch.from_numpy(self._source.gather_frames(both)[where])
        return frames[:count], frames[count:]

    def _draw_indices(self, count: int, rng: np.random.Generator) -> np.ndarray:
        total = self._source.num_frames
        if self._cumulative is None:
            return rng.integers(total, size=count)
        indices = np.searchsorted(self._cumulative, rng.random(count), side="right")
        return indices.clip(max=total - 1)
