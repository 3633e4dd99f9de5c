import cv2
import numpy as np
import pytest

from worldtokens.envs import make_env
from worldtokens.envs.ale_emulator import ALEEmulator
from worldtokens.envs.games import rom_of
from worldtokens.envs.screens import FrameBuilder, _area_weights


def plainly(first, second, size):
    return cv2.resize(np.maximum(first, second), size[::-1], interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("size", ((64, 64), (84, 84), (96, 80), (210, 160)))
def test_equals_the_plain_way_when_parts_change(size):
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (256, 3)).astype(np.uint8)
    builder = FrameBuilder((210, 160), size, palette)
    shown = np.zeros((2, 210, 160), np.uint8)
    for step in range(30):
        for which in (0, 1):
            for _ in range(int(rng.integers(3))):
                y, x = rng.integers(200), rng.integers(150)
                height, width = rng.integers(1, 40, 2)
                shown[which, y : y + height, x : x + width] = rng.integers(256)
        builder.last_but_one[...], builder.last[...] = shown
        expected = plainly(palette[shown[0]], palette[shown[1]], size)
        # At other sizes some results lie exactly between two values and round either way.
        difference = np.abs(builder.build().astype(int) - expected)
        assert difference.max() <= (0 if size == (64, 64) else 1)
        if step == 15:
            builder.reset()


@pytest.mark.parametrize("name", ("MontezumaRevenge", "MsPacman", "AirRaid"))
def test_equals_the_plain_way_on_games(name):
    env = make_env(name)
    emulator = ALEEmulator(rom_of(name), full_action_space=False, frame_skip=4)
    env.reset(seed=0)
    emulator.reset(int(np.random.default_rng(0).integers(2**31)))
    screens = [np.zeros((*emulator.screen_shape, 3), np.uint8) for _ in range(2)]
    indices = np.zeros(emulator.screen_shape, np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(100):
        action = int(rng.integers(env.action_space.n))
        frame, *_ = env.step(action)
        for emulated in range(4):
            emulator.act(action)
            if emulated >= 2:
                emulator.read_screen(indices)
                screens[emulated - 2] = emulator.palette[indices]
        np.testing.assert_array_equal(frame, plainly(*screens, (64, 64)))


def test_area_weights_by_hand():
    # 5 pixels to 2: the middle one is shared.
    expected = [[0.4, 0.4, 0.2, 0.0, 0.0], [0.0, 0.0, 0.2, 0.4, 0.4]]
    np.testing.assert_allclose(_area_weights(5, 2), expected, rtol=1e-6)


def test_frames_do_not_share_memory():
    builder = FrameBuilder((210, 160), (64, 64), np.arange(768).reshape(256, 3).astype(np.uint8))
    first = builder.build()
    builder.last_but_one[...] = 9
    builder.last[...] = 9
    second = builder.build()
    assert first[0, 0].tolist() == [0, 1, 2] and second[0, 0].tolist() == [27, 28, 29]
