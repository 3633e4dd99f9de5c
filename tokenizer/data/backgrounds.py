"""Backgrounds of scenes, and the foreground: pixels that differ from them."""

from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.data.frames import FrameSource

FOREGROUND_THRESHOLD = 40
# A frame that differs from its scene's median in a larger share of pixels does not show that scene:
# the RAM names the next room some frames before the screen shows it. In Montezuma's Revenge 0.7% of
# the frames do so; they differ in 10% to 55% of their pixels, all others in 5% at most.
LARGEST_FOREGROUND = 0.1
MEDIAN_FRAMES = 256

# Share of the frame's height, from the top, that shows score and lives.
_SCORE_BAR = {"MontezumaRevenge": 14 / 64}


def score_rows(env: str, height: int) -> int:
    """Returns the number of rows at the top that show the score, 0 for games not known here."""
    return round(_SCORE_BAR.get(env, 0.0) * height)


def is_close(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Marks pixels that agree within the threshold in every channel, bool (n, height, width)."""
    difference = np.abs(first.astype(np.int16) - second.astype(np.int16))
    return np.all(difference <= FOREGROUND_THRESHOLD, axis=-1)


@dataclass(frozen=True)
class SceneBackgrounds:
    """The background of each scene, without moving objects.

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
        medians = [
            np.median(frames[_evenly_spaced(scenes, scene)], axis=0).astype(np.uint8)
            for scene in known
        ]
        return cls(known.astype(np.int64), np.stack(medians), score_rows)

    def foreground(self, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Marks pixels that differ from their scene's median by more than the threshold.

        A frame of an unknown scene has no foreground, nor has (where there are several scenes) a
        frame that shows another scene than its own.

        Args:
            frames: uint8 (n, height, width, 3).
            scenes: Integers (n,).

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


def fit_backgrounds(source: FrameSource) -> SceneBackgrounds:
    """Computes the median frame of every scene.

    Args:
        source: All episodes, held-out ones too: the backgrounds only define the foreground, no
            model learns from them.
    """
    chosen = [_evenly_spaced(source.scene, scene) for scene in np.unique(source.scene)]
    indices = np.sort(np.concatenate(chosen))
    rows = score_rows(source.game, source.frame_shape[0])
    return SceneBackgrounds.fit(source.gather_frames(indices), source.scene[indices], rows)


def _evenly_spaced(scenes: np.ndarray, scene: int) -> np.ndarray:
    """Returns indices int64 (m,) of at most MEDIAN_FRAMES frames of a scene."""
    (indices,) = np.nonzero(scenes == scene)
    even = np.linspace(0, len(indices) - 1, min(len(indices), MEDIAN_FRAMES)).astype(int)
    return indices[even]
