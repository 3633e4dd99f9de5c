"""What an emulator must do so that `AtariEnv` can play it."""

from typing import Protocol

import numpy as np


class Emulator(Protocol):
    """One machine that advances by single emulated frames.

    Screens are palette indices, uint8 (height, width); colours are looked up later and only
    where a screen changed, because most of a screen stays as it was.

    Attributes:
        screen_shape: (height, width) of the screen in pixels.
        palette: uint8 (256, 3) RGB, the colour of each palette index.
        action_meanings: Atari's name for each action, in the order of `act`'s numbers.
    """

    screen_shape: tuple[int, int]
    palette: np.ndarray
    action_meanings: tuple[str, ...]

    def reset(self, seed: int | None) -> None:
        """Starts a new game; a seed (0 to 2**31 - 1) makes it the same game every time."""
        ...

    def act(self, action: int) -> float:
        """Plays one emulated frame under action number `action` and return its reward."""
        ...

    def read_screen(self, out: np.ndarray) -> None:
        """Writes the screen's palette indices into `out`, uint8 (height, width)."""
        ...

    def read_ram(self) -> np.ndarray:
        """Returns a copy of the RAM, uint8 (128,)."""
        ...

    def lives(self) -> int:
        """Returns the lives that are left, 0 in games without lives."""
        ...

    def game_over(self) -> bool:
        """Tells whether the game has ended."""
        ...

    def save(self) -> bytes:
        """Returns everything that decides how the game goes on."""
        ...

    def restore(self, state: bytes) -> None:
        """Goes on from what `save` returned; the screen is valid again after the next `act`."""
        ...
