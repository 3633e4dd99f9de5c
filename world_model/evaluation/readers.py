"""Reads from decoded frames which scene they show, and how many lives the player has left."""

import numpy as np

from worldtokens.tokenizer.data.backgrounds import FOREGROUND_THRESHOLD, SceneBackgrounds

MEDIAN_FRAMES = 256
# Of the pixels that show lives: mean distance from the median of their number, grey levels.
MOST_NOISE = 20


class SceneReader:
    """Reads the scene (room) of a frame: the one whose median frame is nearest to it.

    The score bar does not count. Reading is not perfect, and the RAM may name a new room some
    frames before the screen shows it, so that what it reads in true frames stands beside.
    """

    def __init__(self, backgrounds: SceneBackgrounds):
        """Keeps the median frames of all scenes."""
        self._scenes = backgrounds.scenes
        self._rows = backgrounds.score_rows
        medians = backgrounds.medians[:, self._rows :]
        self._medians = medians.reshape(len(medians), -1)

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Returns the scene of each frame, uint8 (n, height, width, 3) -> int64 (n,)."""
        pixels = frames[:, self._rows :].reshape(len(frames), -1)
        return self._scenes[_nearest(pixels, self._medians)]


class LivesReader:
    """Reads the number of lives left from the pixels that show it.

    These are the pixels that differ between the median frames of the numbers of lives, but hardly
    ever among frames of one number, as those of the score do: of the score bar where it is known,
    otherwise of the whole frame.

    Attributes:
        area: The pixels, bool (rows, width).
    """

    def __init__(self, lives: np.ndarray, medians: np.ndarray, area: np.ndarray):
        """Keeps the median frames.

        Args:
            lives: int64 (n,), distinct.
            medians: uint8 (n, rows, width, 3), of each number of lives.
            area: The pixels that show the lives, bool (rows, width).
        """
        self._lives = lives
        self.area = area
        self._medians = medians[:, area].reshape(len(medians), -1)

    @classmethod
    def fit(cls, frames: np.ndarray, lives: np.ndarray, score_rows: int) -> "LivesReader | None":
        """Takes the median of the frames of each number of lives.

        Args:
            frames: As the tokenizer decodes them, uint8 (n, height, width, 3).
            lives: Integers (n,).
            score_rows: Rows of the score bar; 0 where it is not known.

        Returns:
            The reader; None where the number of lives never changes, or where it is not visible.
        """
        known = np.unique(lives)
        frames = frames[:, : score_rows or None]
        groups = [frames[lives == number] for number in known]
        medians = np.stack([np.median(group, axis=0) for group in groups])
        noise = np.stack(
            [
                np.abs(group - median).mean(axis=0)
                for group, median in zip(groups, medians, strict=True)
            ]
        ).max(axis=(0, -1))
        spread = np.ptp(medians, axis=0).max(axis=-1)
        area = (spread > FOREGROUND_THRESHOLD) & (noise < MOST_NOISE)
        return cls(known.astype(np.int64), medians.astype(np.uint8), area) if area.any() else None

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Returns the lives that each frame shows, uint8 (n, height, width, 3) -> int64 (n,)."""
        pixels = frames[:, : len(self.area)][:, self.area]
        return self._lives[_nearest(pixels.reshape(len(frames), -1), self._medians)]


def evenly_by_class(classes: np.ndarray, most: int = MEDIAN_FRAMES) -> np.ndarray:
    """Chooses at most so many rows of each class, evenly spaced: indices int64 (m,), ascending."""
    chosen = []
    for one in np.unique(classes):
        (rows,) = np.nonzero(classes == one)
        chosen.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int)])
    return np.sort(np.concatenate(chosen))


def _nearest(pixels: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Finds the median (m, D) with the least squared distance from pixels (n, D): int64 (n,)."""
    medians = medians.astype(np.float32)
    # But for the square of the pixels, which is the same for all medians.
    distance = np.square(medians).sum(axis=1) - 2 * pixels.astype(np.float32) @ medians.T
    return distance.argmin(axis=1)
