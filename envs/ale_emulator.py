"""The Arcade Learning Environment behind the `Emulator` protocol."""

import numpy as np
from ale_py import Action, ALEInterface, ALEState, LoggerMode, roms

ALEInterface.setLoggerMode(LoggerMode.Error)


class ALEEmulator:
    """A game of ale-py, without ale-py's own sticky actions and time limit.

    Both belong to `AtariEnv`. ALE's sticky actions draw from a generator whose saved form does
    not restore exactly (about two thirds of the games diverged when restored in a fresh emulator
    after 500 frames at probability 0.25), so they stay switched off here.
    """

    def __init__(self, rom: str, full_action_space: bool) -> None:
        """Load the game.

        Args:
            rom: ale-py's id of the game, for example "montezuma_revenge".
            full_action_space: all 18 actions instead of those that the game uses.
        """
        rom_path = roms.get_rom_path(rom)
        assert rom_path is not None, rom
        self._rom_path = rom_path
        self._ale = ALEInterface()
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.setInt("random_seed", 0)
        self._ale.loadROM(self._rom_path)
        if full_action_space:
            actions = self._ale.getLegalActionSet()
        else:
            actions = self._ale.getMinimalActionSet()
        # Looking an enum member up by its number costs `act` more than a tuple does.
        self._actions: tuple[Action, ...] = tuple(actions)
        self.action_meanings = tuple(action.name for action in self._actions)
        height, width = self._ale.getScreenDims()
        self.screen_shape = (height, width)

    def reset(self, seed: int | None) -> None:
        """See `Emulator.reset`."""
        if seed is not None:
            self._ale.setInt("random_seed", seed)
            # The seed takes effect when a ROM is loaded.
            self._ale.loadROM(self._rom_path)
        self._ale.reset_game()

    def act(self, action: int) -> float:
        """See `Emulator.act`."""
        return self._ale.act(self._actions[action])

    def read_screen(self, out: np.ndarray) -> None:
        """See `Emulator.read_screen`."""
        self._ale.getScreen(out)

    def read_colors(self, out: np.ndarray) -> None:
        """See `Emulator.read_colors`."""
        self._ale.getScreenRGB(out)

    def read_ram(self) -> np.ndarray:
        """See `Emulator.read_ram`."""
        return self._ale.getRAM()

    def lives(self) -> int:
        """See `Emulator.lives`."""
        return self._ale.lives()

    def game_over(self) -> bool:
        """See `Emulator.game_over`."""
        return self._ale.game_over()

    def save(self) -> bytes:
        """See `Emulator.save`."""
        return self._ale.cloneState(include_rng=True).serialize()

    def restore(self, state: bytes) -> None:
        """See `Emulator.restore`."""
        self._ale.restoreState(ALEState(state))
