"""From two emulated screens to one frame, with work only where the screen changed.

At 64x64 the result equals the direct computation exactly (tests/envs/test_screens.py): the maximum
of both RGB screens, then `cv2.resize(..., interpolation=cv2.INTER_AREA)`. At some other sizes a
result may lie exactly between two values, which cv2 rounds to the even one and this upwards. The
direct computation costs half as much as the emulation, and most of a screen does not change from
step to step.
"""

from typing import Any

import numpy as np

_WORD = 4  # pixels that are compared at once
_GAP = 2  # unchanged words that end a rectangle


class FrameBuilder:
    """Builds frames, uint8 (frame height, frame width, 3), from pairs of screens.

    Write a step's last two screens into `last_but_one` and `last`, then call `build`. Rectangles
    in which either screen differs from the step before are coloured, maximised and shrunk again.

    Shrinking is a product with a matrix on either side: frame = rows @ screen @ columns.T. Each
    row of those holds a few weights in a row and zeros, so the products are many small ones over
    what is not zero: BLAS gives a large one to all cores, where several processes that play at the
    same time then wait for each other (three times as slow with 2 on 2 cores). Their float32 error
    (1e-4) is far below the distance of any exact result from the next point where rounding turns
    (1 / 1050 for 210 x 160 to 64 x 64), so rectangles give the same pixels as the whole screen.

    Attributes:
        last_but_one: uint8 (screen height, screen width), palette indices, to be written to.
        last: The same, one emulated frame later.
    """

    last_but_one: np.ndarray
    last: np.ndarray

    def __init__(
        self, screen_shape: tuple[int, int], frame_shape: tuple[int, int], palette: np.ndarray
    ) -> None:
        """Prepares buffers.

        Args:
            screen_shape: (height, width) of the emulator's screen; the width a multiple of 4.
            frame_shape: (height, width) of the frames to build.
            palette: uint8 (256, 3) RGB.
        """
        self._screen_shape = screen_shape
        self._frame_shape = frame_shape
        height, width = screen_shape
        self._row_bands, self._row_weights = _bands(_area_weights(height, frame_shape[0]))
        self._columns = _area_weights(width, frame_shape[1])
        # Red, green, blue and a zero byte in one word: looking a pixel up moves one word.
        packed = np.zeros((256, 4), np.uint8)
        packed[:, :3] = palette
        self._palette = packed.view(np.uint32)[:, 0]
        self._screens = np.zeros((2, *screen_shape), np.uint8)
        self._before = np.zeros_like(self._screens)
        self.last_but_one, self.last = self._screens
        words = width // _WORD
        self._differences = np.zeros((2, height, words), np.uint32)
        self._folds = max(n for n in range(1, 12) if height % n == 0)
        self._frame = np.zeros((*frame_shape, 3), np.uint8)
        self._is_first = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Lets a copy's `last_but_one` and `last` be parts of its own buffer again."""
        vars(self).update(state)
        self.last_but_one, self.last = self._screens

    def reset(self) -> None:
        """Makes the next frame come from whole screens: after a reset or a restore."""
        self._is_first = True

    def build(self) -> np.ndarray:
        """Returns the frame of the two screens, uint8, as a fresh array."""
        if self._is_first:
            self._shrink(0, self._screen_shape[0], 0, self._screen_shape[1])
            self._is_first = False
        else:
            for rectangle in self._find_changes():
                self._shrink(*rectangle)
        self._screens, self._before = self._before, self._screens
        self.last_but_one, self.last = self._screens
        return self._frame.copy()

    def _find_changes(self) -> list[tuple[int, int, int, int]]:
        """Returns rectangles (top, bottom, left, right) that hold every pixel that changed."""
        np.bitwise_xor(
            self._screens.view(np.uint32), self._before.view(np.uint32), out=self._differences
        )
        changed = np.bitwise_or(self._differences[0], self._differences[1])
        words = changed.shape[1]
        # Folding first keeps NumPy's inner loops long; one reduction takes four times as long.
        folded = np.bitwise_or.reduce(changed.reshape(self._folds, -1), axis=0)
        columns = np.bitwise_or.reduce(folded.reshape(-1, words), axis=0).nonzero()[0].tolist()
        rectangles = []
        for left, right in _runs(columns):
            rows = changed[:, left:right].any(axis=1).nonzero()[0]
            rectangles.append((int(rows[0]), int(rows[-1]) + 1, left * _WORD, right * _WORD))
        return rectangles

    def _shrink(self, top: int, bottom: int, left: int, right: int) -> None:
        """Builds the part of the frame that shows a rectangle of the screen."""
        frame_top, frame_bottom, top, bottom = _widen(
            top, bottom, self._screen_shape[0], self._frame_shape[0]
        )
        frame_left, frame_right, left, right = _widen(
            left, right, self._screen_shape[1], self._frame_shape[1]
        )
        colors = self._palette.take(self._screens[:, top:bottom, left:right]).view(np.uint8)
        # (height, width * 4): the first product treats columns and channels alike.
        brightest = np.maximum(colors[0], colors[1]).astype(np.float32)
        bands = self._row_bands[frame_top:frame_bottom] - top
        half = self._row_weights[frame_top:frame_bottom, None] @ brightest.take(
            bands, axis=0, mode="clip"
        )
        half = half.reshape(frame_bottom - frame_top, right - left, 4)
        shrunk = self._columns[frame_left:frame_right, left:right] @ half
        shrunk += 0.5  # the cast below cuts off
        self._frame[frame_top:frame_bottom, frame_left:frame_right] = shrunk[..., :3]


def _area_weights(screen: int, frame: int) -> np.ndarray:
    """Returns each screen pixel's share in each frame pixel along one side.

    Returns:
        float32 (frame, screen); rows sum to 1.
    """
    edges = np.arange(frame + 1) * screen / frame
    pixels = np.arange(screen)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlap.clip(min=0.0) * frame / screen).astype(np.float32)


def _bands(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions and values of each row's nonzero weights.

    Args:
        weights: float32 (frame, screen); the nonzero weights of a row are neighbours.

    Returns:
        int64 (frame, band) and float32 (frame, band); weights of 0 fill what a row has too few of.
    """
    first = (weights != 0).argmax(axis=1)
    size = int((weights != 0).sum(axis=1).max())
    bands = first[:, None] + np.arange(size)
    inside = np.minimum(bands, weights.shape[1] - 1)
    return bands, np.take_along_axis(weights, inside, axis=1) * (bands < weights.shape[1])


def _widen(start: int, stop: int, screen: int, frame: int) -> tuple[int, int, int, int]:
    """Returns which frame pixels a range of screen pixels has a share in, and all of their pixels.

    Returns:
        Frame start, frame stop, screen start, screen stop.
    """
    frame_start = start * frame // screen
    frame_stop = min(-(-stop * frame // screen), frame)
    return frame_start, frame_stop, frame_start * screen // frame, -(-frame_stop * screen // frame)


def _runs(positions: list[int]) -> list[tuple[int, int]]:
    """Returns (first, last + 1) of every run of ascending positions with small gaps."""
    runs: list[tuple[int, int]] = []
    start = end = -1
    for position in positions:
        if start < 0:
            start = position
        elif position - end > _GAP:
            runs.append((start, end))
            start = position
        end = position + 1
    if start >= 0:
        runs.append((start, end))
    return runs
