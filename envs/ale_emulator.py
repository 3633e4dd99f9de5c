"""The Arcade Learning Environment behind the `Emulator` protocol."""

import struct

import numpy as np
from ale_py import Action, ALEInterface, ALEState, LoggerMode, roms

from envs.palettes import NTSC, PAL

ALEInterface.setLoggerMode(LoggerMode.Error)


# ale-py 0.12.1 leaves parts of the video chip out of its saved states. In these games a restored
# run differs from the one that went on; Q*bert may even crash after many restores (pull requests
# 732 and 739 of Farama-Foundation/Arcade-Learning-Environment). Everywhere else only the first
# emulated frame after a restore may be drawn wrongly, which steps of 3 or more frames never show.
_INEXACT_ROMS = frozenset({"qbert", "tetris", "tic_tac_toe_3d"})
_EXACT_FRAME_SKIP = 3

_PAL_HEIGHT = 250


class ALEEmulator:
    """A game of ale-py, without ale-py's own sticky actions and time limit.

    Both belong to `AtariEnv`. ALE's sticky actions draw from a generator whose saved form does
    not always restore exactly: at probability 0.25, after 500 frames, two thirds of the games
    went another way when restored in a fresh emulator.

    Where ale-py's saved states are not exact, the seed and the actions since the reset are saved
    in their place and played again.
    """

    def __init__(self, rom: str, full_action_space: bool, frame_skip: int) -> None:
        """Load the game.

        Args:
            rom: ale-py's id of the game, for example "montezuma_revenge".
            full_action_space: all 18 actions instead of those that the game uses.
            frame_skip: emulated frames per step, of which the last two are read.
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
        self.palette = PAL if height == _PAL_HEIGHT else NTSC

        replays = rom in _INEXACT_ROMS or frame_skip < _EXACT_FRAME_SKIP
        self._history: bytearray | None = bytearray() if replays else None
        self._seed = 0

    def reset(self, seed: int | None) -> None:
        """See `Emulator.reset`."""
        if seed is None and self._history is not None:
            seed = (self._seed + 1) % 2**31
        if seed is not None:
            self._seed = seed
            self._ale.setInt("random_seed", seed)
            # The seed takes effect when a ROM is loaded.
            self._ale.loadROM(self._rom_path)
        if self._history is not None:
            self._history.clear()
        self._ale.reset_game()

    def act(self, action: int) -> float:
        """See `Emulator.act`."""
        if self._history is not None:
            self._history.append(action)
        return self._ale.act(self._actions[action])

    def read_screen(self, out: np.ndarray) -> None:
        """See `Emulator.read_screen`."""
        self._ale.getScreen(out)

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
        if self._history is not None:
            return struct.pack("<I", self._seed) + self._history
        return self._ale.cloneState(include_rng=True).serialize()

    def restore(self, state: bytes) -> None:
        """See `Emulator.restore`."""
        if self._history is None:
            self._ale.restoreState(ALEState(state))
            return
        self.reset(struct.unpack_from("<I", state)[0])
        for action in state[4:]:
            self.act(action)
