import numpy as np
import pytest

from worldtokens.envs.ale_emulator import ALEEmulator


def play(emulator, actions):
    return [(emulator.act(action), emulator.read_ram().tobytes()) for action in actions]


@pytest.mark.parametrize("rom", ("montezuma_revenge", "qbert"))
def test_a_reset_starts_the_same_game(rom):
    emulator = ALEEmulator(rom, full_action_space=False, frame_skip=4)
    emulator.reset(0)
    first = play(emulator, [3] * 200)
    emulator.reset(1)
    assert play(emulator, [3] * 200) == first


def test_states_are_played_actions_where_those_of_ale_are_not_exact():
    emulator = ALEEmulator("qbert", full_action_space=False, frame_skip=4)
    emulator.reset(0)
    play(emulator, [1, 2, 3])
    assert emulator.save() == bytes([1, 2, 3])
    exact = ALEEmulator("pong", full_action_space=False, frame_skip=4)
    exact.reset(0)
    play(exact, [1, 2, 3])
    assert len(exact.save()) > 100
    # Steps of 2 frames would show the frame that a restore draws wrongly.
    short = ALEEmulator("pong", full_action_space=False, frame_skip=2)
    short.reset(0)
    play(short, [1, 2, 3])
    assert short.save() == bytes([1, 2, 3])


def test_all_actions_or_those_of_the_game():
    pong = ALEEmulator("pong", full_action_space=False, frame_skip=4)
    assert pong.action_meanings == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    assert len(ALEEmulator("pong", full_action_space=True, frame_skip=4).action_meanings) == 18
    screen = np.zeros(pong.screen_shape, np.uint8)
    pong.reset(0)
    pong.read_screen(screen)
    assert pong.screen_shape == (210, 160) and len(np.unique(screen)) > 2
