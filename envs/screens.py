"""From two emulated screens to one frame, with work only where the screen changed.

The result equals the plain way exactly (tests/envs/test_screens.py): take the maximum of both
RGB screens, then `cv2.resize(..., interpolation=cv2.INTER_AREA)` to the frame's size. The plain
way costs half of the emulation itself, and most of a screen stays as it was from step to step.
"""

from typing import Protocol

import cv2
import numpy as np

# One frame is far too small to share between threads, and workers are processes already.
cv2.setNumThreads(1)

_UNKNOWN = np.uint32(0xFFFFFFFF)


class ColorScreen(Protocol):
    """The part of an emulator that is read here; see `Emulator`."""

    def read_screen(self, out: np.ndarray) -> None:
        """See `Emulator.read_screen`."""
        ...

    def read_colors(self, out: np.ndarray) -> None:
        """See `Emulator.read_colors`."""
        ...


class FrameBuilder:
    """Builds frames, uint8 (frame height, frame width, 3), from pairs of screens.

    A screen is cut into tiles that shrink to whole frame pixels: for 210 x 160 to 64 x 64 these
    are 105 x 40 screen pixels to 32 x 16 frame pixels. Only tiles in which either screen changed
    since the step before are coloured, maximised and shrunk again.

    Colours are packed as red, green, blue and a zero byte in one uint32. They are learnt from
    the emulator as palette indices turn up, since ale-py does not publish its palettes.
    """

    def __init__(self, screen_shape: tuple[int, int], frame_shape: tuple[int, int]) -> None:
        """Prepare buffers.

        Args:
            screen_shape: (height, width) of the emulator's screen; the width a multiple of 8.
            frame_shape: (height, width) of the frames to build.
        """
        height, width = screen_shape
        self._rows = _count_pieces(height, frame_shape[0], most=2, multiple=1)
        self._columns = _count_pieces(width, frame_shape[1], most=8, multiple=8)
        self._tile = (height // self._rows, width // self._columns)
        self._frame_tile = (frame_shape[0] // self._rows, frame_shape[1] // self._columns)
        self._fold = max(n for n in range(1, 12) if self._tile[0] % n == 0)
        self._palette = np.full(256, _UNKNOWN, np.uint32)
        # Index 0 is a step's last screen but one, 1 its last.
        self._screens = [np.zeros(screen_shape, np.uint8) for _ in range(2)]
        self._colors = [np.zeros(screen_shape, np.uint32) for _ in range(2)]
        self._changed = [np.ones((self._rows, self._columns), bool) for _ in range(2)]
        self._spare = np.zeros(screen_shape, np.uint8)
        self._difference = np.zeros((height, width // 8), np.uint64)
        self._rgb = np.zeros((*screen_shape, 3), np.uint8)
        self._frame = np.zeros((*frame_shape, 3), np.uint8)
        self._is_first = True

    def forget(self) -> None:
        """Build the next frame from whole screens: after a reset or a restore."""
        self._is_first = True

    def read(self, emulator: ColorScreen, which: int) -> None:
        """Read the emulator's present screen as the step's last but one (0) or last (1)."""
        screen, before = self._spare, self._screens[which]
        emulator.read_screen(screen)
        self._screens[which], self._spare = screen, before
        changed = self._find_changes(screen, before)
        self._changed[which] = changed
        for row, start, stop in _runs(changed):
            rows, columns = self._area(row, start, stop)
            colors = self._palette.take(screen[rows, columns])
            if colors.max() == _UNKNOWN:
                # Now or never: after the next emulated frame these colours are gone.
                self._learn(emulator, screen)
                colors = self._palette.take(screen[rows, columns])
            self._colors[which][rows, columns] = colors

    def build(self) -> np.ndarray:
        """Return the frame of the two screens read last, as a fresh array."""
        tile_height, tile_width = self._frame_tile
        for row, start, stop in _runs(self._changed[0] | self._changed[1]):
            rows, columns = self._area(row, start, stop)
            first, second = (
                np.ascontiguousarray(colors[rows, columns]).view(np.uint8)
                for colors in self._colors
            )
            brightest = np.maximum(first, second).reshape(self._tile[0], -1, 4)
            size = ((stop - start) * tile_width, tile_height)
            self._frame[
                row * tile_height : (row + 1) * tile_height, start * tile_width : stop * tile_width
            ] = cv2.resize(brightest, size, interpolation=cv2.INTER_AREA)[..., :3]
        self._is_first = False
        return self._frame.copy()

    def _area(self, row: int, start: int, stop: int) -> tuple[slice, slice]:
        height, width = self._tile
        return slice(row * height, (row + 1) * height), slice(start * width, stop * width)

    def _find_changes(self, screen: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Tell which tiles differ, bool (rows, columns)."""
        if self._is_first:
            return np.ones((self._rows, self._columns), bool)
        difference = np.bitwise_xor(
            screen.view(np.uint64), before.view(np.uint64), out=self._difference
        )
        # Folding twice keeps NumPy's inner loops long; one reduction takes four times as long.
        folded = np.bitwise_or.reduce(difference.reshape(self._rows, self._fold, -1), axis=1)
        words = np.bitwise_or.reduce(folded.reshape(self._rows, -1, difference.shape[1]), axis=1)
        return words.reshape(self._rows, self._columns, -1).any(axis=2)

    def _learn(self, emulator: ColorScreen, screen: np.ndarray) -> None:
        emulator.read_colors(self._rgb)
        packed = np.zeros((*screen.shape, 4), np.uint8)
        packed[..., :3] = self._rgb
        self._palette[screen] = packed.view(np.uint32)[..., 0]


def _count_pieces(screen: int, frame: int, most: int, multiple: int) -> int:
    """Return into how many equal pieces a side may be cut without changing any pixel.

    A piece must shrink to whole frame pixels under the very same weights. That is certain where
    screen / frame is a binary fraction: then no float in the resampler is rounded.
    """
    denominator = frame // np.gcd(screen, frame)
    if denominator & (denominator - 1):
        return 1
    return max(
        n
        for n in range(1, most + 1)
        if screen % n == 0 and frame % n == 0 and (screen // n) % multiple == 0
    )


def _runs(changed: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (row, first column, column after the last) of every run of True, row by row."""
    runs = []
    for row, cells in enumerate(changed.tolist()):
        start = None
        for column, cell in enumerate([*cells, False]):
            if cell and start is None:
                start = column
            elif not cell and start is not None:
                runs.append((row, start, column))
                start = None
    return runs
