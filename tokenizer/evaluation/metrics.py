"""The figures by which tokenizers, and dreams, are judged; every table takes them from here.

Frames are uint8 arrays (n, height, width, 3); scenes are integer arrays (n,), the room in which a
frame was taken, or all 0 for a game without known rooms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from worldtokens.tokenizer.data.backgrounds import is_close


def psnr_per_frame(true: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame, float64 (n,), in dB.

    A frame without any error counts as one whose error is the smallest there is: one channel of one
    pixel off by one. Otherwise a single perfect frame would make the mean infinite.
    """
    error = _squared_error(true, made)
    return _decibel(np.maximum(error.mean(axis=1), 1.0 / error.shape[1]))


def pooled_psnr(true: np.ndarray, made: np.ndarray) -> float:
    """PSNR in dB of the squared error pooled over all frames."""
    error = _squared_error(true, made)
    return float(_decibel(np.maximum(error.mean(), 1.0 / error.size)))


def ssim_per_frame(true: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Structural similarity of each frame, float64 (n,), at most 1."""
    first, second = (
        torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255
        for frames in (made, true)
    )
    values = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert isinstance(values, torch.Tensor)
    return values.double().numpy().reshape(len(true))


@dataclass
class Recall:
    """Counts of foreground pixels per scene, and of those that were reproduced.

    Attributes:
        pixels: Foreground pixels of each scene.
        hits: Those of them whose every channel is within the threshold.
    """

    pixels: dict[int, int]
    hits: dict[int, int]

    @property
    def overall(self) -> float:
        """Share of all foreground pixels that were reproduced; NaN if there are none."""
        pixels = sum(self.pixels.values())
        return sum(self.hits.values()) / pixels if pixels else float("nan")

    @property
    def per_scene(self) -> dict[int, float]:
        """The same by scene, for scenes with foreground."""
        return {scene: self.hits[scene] / n for scene, n in sorted(self.pixels.items()) if n}


def foreground_recall(
    true: np.ndarray, made: np.ndarray, mask: np.ndarray, scenes: np.ndarray
) -> Recall:
    """Counts the foreground pixels that are reproduced within 40/255 in every channel.

    Args:
        true: uint8 (n, height, width, 3).
        made: Frames of that shape.
        mask: bool (n, height, width), see SceneBackgrounds.foreground.
        scenes: Integers (n,).
    """
    pixels = mask.sum(axis=(1, 2))
    hits = (mask & is_close(true, made)).sum(axis=(1, 2))
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
    """Share of tokens that change from a frame to the next where their patch does not.

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
    still = np.concatenate([_still_patches(differs, *level) for level in levels], axis=1)
    if not still.any():
        return float("nan")
    return float((tokens_before != tokens_after)[still].mean())


def _still_patches(differs: np.ndarray, rows: int, columns: int, depth: int) -> np.ndarray:
    """Whether no pixel under each token's patch differs: bool (n, rows x columns x depth)."""
    count, height, width = differs.shape
    patches = differs.reshape(count, rows, height // rows, columns, width // columns)
    still = ~patches.any(axis=(2, 4)).reshape(count, rows * columns)
    return still.repeat(depth, axis=1)


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
        """2 to the entropy: as many codes, equally used, would have it."""
        return 2.0**self.entropy_bits

    @property
    def share_used(self) -> float:
        """Share of the codes that occur at all."""
        return float((self.counts > 0).mean())

    @property
    def bits_per_frame(self) -> float:
        """K x log2(vocab_size)."""
        return self.tokens_per_frame * float(np.log2(len(self.counts)))

    @property
    def used_bits_per_frame(self) -> float:
        """K x the entropy of a token."""
        return self.tokens_per_frame * self.entropy_bits


def _squared_error(true: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Squared errors (n, values of a frame) in units of one grey level."""
    assert true.shape == made.shape
    difference = true.astype(np.float32) - made.astype(np.float32)
    return np.square(difference).reshape(len(true), -1)


def _decibel(mean_squared_error: np.ndarray) -> np.ndarray:
    return 10.0 * np.log10(255.0**2 / mean_squared_error.astype(np.float64))
