"""The figures by which tokenizers, and dreams, are judged; every table takes them from here.

Frames are uint8 arrays (n, height, width, 3); scenes are integer arrays (n,), the room in which a
frame was taken, or all 0 for a game without known rooms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

FOREGROUND_THRESHOLD = 40
# A frame that differs from its scene's median in more pixels than this share does not show that
# scene: the RAM names the next room some frames before the screen shows it. In Montezuma's Revenge
# 0.7% of frames are such; they differ in 10% to 55% of their pixels, all others in 5% at most.
LARGEST_FOREGROUND = 0.1
MEDIAN_FRAMES = 256

# Share of the frame's height, from the top, that shows score and lives.
_SCORE_BAR = {"MontezumaRevenge": 14 / 64}


def score_rows(env: str, height: int) -> int:
    """Rows at the top of a frame that show the score, 0 for a game where that is not known."""
    return round(_SCORE_BAR.get(env, 0.0) * height)


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


def is_close(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which pixels (n, height, width) agree within the threshold in every channel."""
    difference = np.abs(first.astype(np.int16) - second.astype(np.int16))
    return np.all(difference <= FOREGROUND_THRESHOLD, axis=-1)


@dataclass(frozen=True)
class SceneBackgrounds:
    """What each scene looks like without what moves in it.

    Attributes:
        scenes: int64 (s,), sorted.
        medians: uint8 (s, height, width, 3), the median frame of each scene.
        score_rows: Rows at the top that are never foreground.
    """

    scenes: np.ndarray
    medians: np.ndarray
    score_rows: int

    @classmethod
    def fit(cls, frames: np.ndarray, scenes: np.ndarray, score_rows: int) -> "SceneBackgrounds":
        """Takes the median of at most MEDIAN_FRAMES frames, evenly spaced, of each scene.

        Args:
            frames: uint8 (n, height, width, 3).
            scenes: Integers (n,).
            score_rows: Rows at the top that are never foreground.
        """
        known = np.unique(scenes)
        medians = []
        for scene in known:
            (where,) = np.nonzero(scenes == scene)
            even = np.linspace(0, len(where) - 1, min(len(where), MEDIAN_FRAMES)).astype(int)
            medians.append(np.median(frames[where[even]], axis=0).astype(np.uint8))
        return cls(known.astype(np.int64), np.stack(medians), score_rows)

    def foreground(self, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Which pixels differ from their scene's median by more than the threshold.

        Args:
            frames: uint8 (n, height, width, 3).
            scenes: Integers (n,); a frame of a scene that was not fitted has no foreground, nor
                (where there are several scenes) a frame that shows another scene than its own.

        Returns:
            bool (n, height, width).
        """
        index = np.searchsorted(self.scenes, scenes).clip(0, len(self.scenes) - 1)
        mask = ~is_close(frames, self.medians[index])
        mask[:, : self.score_rows] = False
        mask[self.scenes[index] != scenes] = False
        if len(self.scenes) > 1:
            mask[mask.mean(axis=(1, 2)) > LARGEST_FOREGROUND] = False
        return mask


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
