import numpy as np
import pytest

from worldtokens.envs.ale_emulator import ALEEmulator
from worldtokens.envs.games import rom_of
from worldtokens.envs.palettes import NTSC, PAL


# Seaquest's water and Pooyan are NTSC; Air Raid and King Kong have PAL screens of 250 lines.
@pytest.mark.parametrize("name", ("Seaquest", "Pooyan", "AirRaid", "KingKong"))
def test_colors_are_those_of_the_emulator(name):
    emulator = ALEEmulator(rom_of(name), full_action_space=False, frame_skip=4)
    emulator.reset(0)
    screen = np.zeros(emulator.screen_shape, np.uint8)
    colors = np.zeros((*emulator.screen_shape, 3), np.uint8)
    rng = np.random.default_rng(0)
    for step in range(400):
        emulator.act(int(rng.integers(len(emulator.action_meanings))))
        if step % 20 == 0:
            emulator.read_screen(screen)
            emulator.ale.getScreenRGB(colors)
            np.testing.assert_array_equal(emulator.palette[screen], colors)


def test_known_colors():
    assert NTSC[0].tolist() == PAL[0].tolist() == [0, 0, 0]
    assert NTSC[1].tolist() == [0, 0, 0]
    # The grey of (150, 113, 26) is 0.2989 * 150 + 0.587 * 113 + 0.114 * 26 = 114.1.
    assert PAL[34].tolist() == [150, 113, 26] and PAL[35].tolist() == [114, 114, 114]
