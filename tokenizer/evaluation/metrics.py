"""The metrics of tokenizers and of dreams; all tables use these definitions.

Frames are uint8 arrays (n, height, width, 3); scenes are integer arrays (n,), the room in which a
frame was taken, or all 0 for a game without known rooms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from worldtokens.tokenizer.data.backgrounds import is_close


def psnr_per_frame(true: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Returns the peak signal-to-noise ratio of each frame, float64 (n,), in dB.

    A frame without any error counts as one with the smallest possible error: one channel of one
    pixel off by one. Otherwise a single perfect frame would make the mean infinite.
    """
    error = _squared_error(true, reconstruction)
    return _decibel(np.maximum(error.mean(axis=1), 1.0 / error.shape[1]))


def ssim_per_frame(true: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Returns the structural similarity of each frame, float64 (n,), at most 1."""
    first, second = (
        torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
        for frames in (reconstruction, true)
    )
    values = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert isinstance(values, torch.Tensor)
    return values.double().numpy().reshape(len(true))


@dataclass
class Recall:
    """Counts of foreground pixels and of reproduced ones, per scene.

    Attributes:
        pixels: Foreground pixels of each scene.
        hits: Those of them with every channel within the threshold.
    """

    pixels: dict[int, int]
    hits: dict[int, int]

    @property
    def overall(self) -> float:
        """Share of all foreground pixels that are reproduced; NaN if there are none."""
        pixels = sum(self.pixels.values())
        return sum(self.hits.values()) / pixels if pixels else float("nan")

    @property
    def per_scene(self) -> dict[int, float]:
        """The same share by scene, for scenes with foreground."""
        return {scene: self.hits[scene] / n for scene, n in sorted(self.pixels.items()) if n}


def foreground_recall(
    true: np.ndarray, reconstruction: np.ndarray, mask: np.ndarray, scenes: np.ndarray
) -> Recall:
    """Counts the foreground pixels that are reproduced within 40/255 in every channel.

    Args:
        true: uint8 (n, height, width, 3).
        reconstruction: Frames of that shape.
        mask: bool (n, height, width), see SceneBackgrounds.foreground.
        scenes: Integers (n,).
    """
    pixels = mask.sum(axis=(1, 2))
    hits = (mask & is_close(true, reconstruction)).sum(axis=(1, 2))
    known = np.unique(scenes)
    return Recall(
        pixels={int(scene): int(pixels[scenes == scene].sum()) for scene in known},
        hits={int(scene): int(hits[scenes == scene].sum()) for scene in known},
    )


def flicker(
    before: np.ndarray,
    after: np.ndarray,
    tokens_before: np.ndarray,
    tokens_after: np.ndarray,
    levels: Sequence[tuple[int, int, int]],
) -> float:
    """Returns the share of tokens that change between frames although their patch does not.

    Args:
        before: uint8 (n, height, width, 3).
        after: The frame after each of `before`.
        tokens_before: int64 (n, K).
        tokens_after: The tokens of `after`.
        levels: (rows, columns, depth) of each level, see Tokenizer.levels.

    Returns:
        A share in [0, 1]; NaN if every patch changes.
    """
    differs = (before != after).any(axis=-1)
    unchanged = np.concatenate([_unchanged_patches(differs, *level) for level in levels], axis=1)
    if not unchanged.any():
        return float("nan")
    return float((tokens_before != tokens_after)[unchanged].mean())


def _unchanged_patches(differs: np.ndarray, rows: int, columns: int, depth: int) -> np.ndarray:
    """Marks tokens without a changed pixel in their patch: bool (n, rows x columns x depth)."""
    count, height, width = differs.shape
    patches = differs.reshape(count, rows, height // rows, columns, width // columns)
    unchanged = ~patches.any(axis=(2, 4)).reshape(count, rows * columns)
    return unchanged.repeat(depth, axis=1)


@dataclass(frozen=True)
class CodeUse:
    """How often each code is used.

    Attributes:
        counts: int64 (vocab_size,).
        tokens_per_frame: K.
    """

    counts: np.ndarray
    tokens_per_frame: int

    @classmethod
    def of(cls, tokens: np.ndarray, vocab_size: int) -> "CodeUse":
        """Counts tokens (n, K)."""
        return cls(np.bincount(tokens.reshape(-1), minlength=vocab_size), tokens.shape[-1])

    @property
    def entropy_bits(self) -> float:
        """Entropy of the distribution of codes, in bits per token."""
        shares = self.counts[self.counts > 0] / self.counts.sum()
        return float(-(shares * np.log2(shares)).sum())

    @property
    def perplexity(self) -> float:
        """2**entropy: the number of equally used codes with this entropy."""
        return 2.0**self.entropy_bits

    @property
    def share_used(self) -> float:
        """Share of the codes that occur."""
        return float((self.counts > 0).mean())

    @property
    def bits_per_frame(self) -> float:
        """K x log2(vocab_size)."""
        return self.tokens_per_frame * float(np.log2(len(self.counts)))

    @property
    def used_bits_per_frame(self) -> float:
        """K x the entropy of a token."""
        return self.tokens_per_frame * self.entropy_bits


def _squared_error(true: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Computes squared errors (n, values of a frame) in units of one grey level."""
    assert true.shape == reconstruction.shape
    difference = true.astype(np.float32) - reconstruction.astype(np.float32)
    return np.square(difference).reshape(len(true), -1)


def _decibel(mean_squared_error: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(255.0**2 / mean_squared_error.astype(np.float64))
