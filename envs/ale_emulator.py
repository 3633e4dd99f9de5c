"""The Arcade Learning Environment behind the `Emulator` protocol."""

import numpy as np
from ale_py import Action, ALEInterface, ALEState, LoggerMode, roms

from worldtokens.envs.palettes import NTSC, PAL

ALEInterface.setLoggerMode(LoggerMode.Error)


# ale-py 0.12.1 leaves parts of the video chip out of its saved states. In these games a restored
# run differs from the one that went on; Q*bert may even crash after many restores (pull requests
# 732 and 739 of Farama-Foundation/Arcade-Learning-Environment). Everywhere else only the first
# emulated frame after a restore may be drawn wrongly, which steps of 3 or more frames never show.
_INEXACT_ROMS = frozenset({"qbert", "tetris", "tic_tac_toe_3d"})
_EXACT_FRAME_SKIP = 3

_DRAWN_FRAMES = 2

_PAL_HEIGHT = 250


class ALEEmulator:
    """A game of ale-py, without ale-py's own sticky actions and time limit.

    Both belong to `AtariEnv`. ALE's sticky actions draw from a generator whose saved form does
    not always restore exactly: at probability 0.25, after 500 frames, two thirds of the games
    continued differently when restored in another emulator.

    Where ale-py's saved states are not exact, the actions since the reset are saved in their
    place and played again. A copy, or one that was pickled, is a new emulator in the same state.

    Attributes:
        ale: ale-py's emulator.
    """

    def __init__(self, rom: str, full_action_space: bool, frame_skip: int) -> None:
        """Loads the game.

        Args:
            rom: The game's id in ale-py, for example "montezuma_revenge".
            full_action_space: All 18 actions instead of those that the game uses.
            frame_skip: Emulated frames per step, of which the last two are read.
        """
        self._arguments = (rom, full_action_space, frame_skip)
        rom_path = roms.get_rom_path(rom)
        assert rom_path is not None, rom
        self._rom_path = rom_path
        self.ale = ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.setInt("random_seed", 0)
        self.ale.loadROM(self._rom_path)
        self.ale.reset_game()
        self._is_exact = rom not in _INEXACT_ROMS
        # What a copy shows until it has drawn something itself.
        self._restored_screen: np.ndarray | None = None
        self._power_on = self.ale.cloneState()
        replays = not self._is_exact or frame_skip < _EXACT_FRAME_SKIP
        self._history: bytearray | None = bytearray() if replays else None
        if full_action_space:
            actions = self.ale.getLegalActionSet()
        else:
            actions = self.ale.getMinimalActionSet()
        # Looking an enum member up by its number costs `act` more than a tuple does.
        self._actions: tuple[Action, ...] = tuple(actions)
        self.action_meanings = tuple(action.name for action in self._actions)
        height, width = self.ale.getScreenDims()
        self.screen_shape = (height, width)
        self.palette = PAL if height == _PAL_HEIGHT else NTSC

    def __getstate__(self) -> tuple[tuple[str, bool, int], bytes, np.ndarray]:
        """Returns what makes the same emulator again; ale-py's own object cannot be pickled."""
        screen = np.empty(self.screen_shape, np.uint8)
        self.read_screen(screen)
        return self._arguments, self.save(), screen

    def __setstate__(self, state: tuple[tuple[str, bool, int], bytes, np.ndarray]) -> None:
        """Makes a new emulator and goes on from the saved state."""
        arguments, saved, screen = state
        self.__init__(*arguments)
        self.restore(saved)
        self._restored_screen = screen

    def reset(self, seed: int | None) -> None:
        """See `Emulator.reset`; without sticky actions no game depends on a seed.

        The game begins at a saved moment: ale-py's own reset takes 8 ms and does not always end
        in the same state, loading the ROM again takes 200 ms.
        """
        if self._is_exact:
            self.ale.restoreState(self._power_on)
        else:
            self.ale.loadROM(self._rom_path)
            self.ale.reset_game()
        # A restored emulator has nothing on its screen before it has drawn some frames.
        for _ in range(_DRAWN_FRAMES):
            self.ale.act(self._actions[0])
        self._restored_screen = None
        if self._history is not None:
            self._history.clear()

    def act(self, action: int) -> float:
        """See `Emulator.act`."""
        self._restored_screen = None
        if self._history is not None:
            self._history.append(action)
        return self.ale.act(self._actions[action])

    def read_screen(self, out: np.ndarray) -> None:
        """See `Emulator.read_screen`."""
        if self._restored_screen is not None:
            out[...] = self._restored_screen
            return
        self.ale.getScreen(out)

    def read_ram(self) -> np.ndarray:
        """See `Emulator.read_ram`."""
        return self.ale.getRAM()

    def lives(self) -> int:
        """See `Emulator.lives`."""
        return self.ale.lives()

    def game_over(self) -> bool:
        """See `Emulator.game_over`."""
        return self.ale.game_over()

    def save(self) -> bytes:
        """See `Emulator.save`."""
        if self._history is not None:
            return bytes(self._history)
        return self.ale.cloneState().serialize()

    def restore(self, state: bytes) -> None:
        """See `Emulator.restore`."""
        self._restored_screen = None
        if self._history is None:
            self.ale.restoreState(ALEState(state))
            return
        self.reset(None)
        for action in state:
            self.act(action)
