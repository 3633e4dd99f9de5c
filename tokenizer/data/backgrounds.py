"""What scenes look like without what moves in them, and so which pixels are foreground."""

from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.data.frames import FrameSource

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
