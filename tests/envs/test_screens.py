import cv2
import numpy as np
import pytest

from envs import make_env
from envs.ale_emulator import ALEEmulator
from envs.games import rom_of
from envs.screens import FrameBuilder, _count_pieces


class Screen:
    """An emulator that shows what it is told to."""

    def __init__(self, palette):
        self.palette = palette
        self.indices = np.zeros((210, 160), np.uint8)

    def read_screen(self, out):
        out[...] = self.indices

    def read_colors(self, out):
        out[...] = self.palette[self.indices]


def plainly(first, second, size):
    return cv2.resize(np.maximum(first, second), size[::-1], interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("size", ((64, 64), (84, 84), (96, 80), (210, 160)))
def test_equals_the_plain_way_when_parts_change(size):
    rng = np.random.default_rng(0)
    screen = Screen(rng.integers(0, 256, (256, 3)).astype(np.uint8))
    builder = FrameBuilder((210, 160), size)
    shown = [np.zeros((210, 160), np.uint8), np.zeros((210, 160), np.uint8)]
    for step in range(30):
        for which in (0, 1):
            shown[which] = shown[which].copy()
            for _ in range(int(rng.integers(3))):
                y, x = rng.integers(200), rng.integers(150)
                color = rng.integers(8 * (step + 1))
                shown[which][y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = color
            screen.indices = shown[which]
            builder.read(screen, which)
        expected = plainly(screen.palette[shown[0]], screen.palette[shown[1]], size)
        np.testing.assert_array_equal(builder.build(), expected)
        if step == 15:
            builder.forget()


@pytest.mark.parametrize("name", ("MontezumaRevenge", "MsPacman", "AirRaid"))
def test_equals_the_plain_way_on_games(name):
    env = make_env(name)
    emulator = ALEEmulator(rom_of(name), full_action_space=False, frame_skip=4)
    env.reset(seed=0)
    emulator.reset(int(np.random.default_rng(0).integers(2**31)))
    screens = [np.zeros((*emulator.screen_shape, 3), np.uint8) for _ in range(2)]
    rng = np.random.default_rng(1)
    for _ in range(100):
        action = int(rng.integers(env.action_space.n))
        frame, *_ = env.step(action)
        for emulated in range(4):
            emulator.act(action)
            if emulated >= 2:
                emulator.read_colors(screens[emulated - 2])
        np.testing.assert_array_equal(frame, plainly(*screens, (64, 64)))


def test_tiles_only_where_no_weight_is_rounded():
    # 210 / 64 = 105 / 32 and 160 / 64 = 5 / 2 are binary fractions; 160 / 84 = 40 / 21 is not.
    assert _count_pieces(210, 64, most=2, multiple=1) == 2
    assert _count_pieces(160, 64, most=8, multiple=8) == 4
    assert _count_pieces(160, 84, most=8, multiple=8) == 1


def test_frames_do_not_share_memory():
    screen = Screen(np.arange(768).reshape(256, 3).astype(np.uint8))
    builder = FrameBuilder((210, 160), (64, 64))
    for which in (0, 1):
        builder.read(screen, which)
    first = builder.build()
    before = first.copy()
    screen.indices = np.full((210, 160), 9, np.uint8)
    for which in (0, 1):
        builder.read(screen, which)
    builder.build()
    np.testing.assert_array_equal(first, before)
