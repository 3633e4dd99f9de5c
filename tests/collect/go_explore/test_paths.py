import numpy as np
import pytest

from worldtokens.collect.go_explore.paths import Path, PathRecorder
from worldtokens.envs import EnvState, make_env


def play(env, recorder, actions):
    """Plays actions and records them; returns what the RAM was after each."""
    rams = []
    for action in actions:
        if recorder.needs_state:
            recorder.keep_state(env.get_state())
        recorder.add(action)
        *_, info = env.advance(action)
        rams.append(info["ram"].tobytes())
    return rams


@pytest.mark.parametrize("game, sticky", (("FakeGame", 0.0), ("FakeGame", 0.25), ("Pong", 0.25)))
def test_short_trajectories_from_one_another_make_one_path(game, sticky):
    env = make_env(game, repeat_action_probability=sticky)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    way, state, rams = None, env.get_state().to_bytes(), []
    for number in range(30):
        env.restore_state(EnvState.from_bytes(state))
        env.reseed(number)
        recorder = PathRecorder(way, state, number)
        actions = [int(rng.integers(6))] * int(rng.integers(1, 12))
        rams += play(env, recorder, actions)
        way, state = recorder.way(), env.get_state().to_bytes()
        assert way is not None
        length = len(way.actions)
        # At least 24 steps where so many were played, and never much more.
        assert min(24, len(rams)) <= length < 24 + 12 + 16
        assert len(way.checkpoints) <= 4 and way.checkpoints[0][0] == 0
        for count in (1, length // 2 or 1, length - 1 or 1, length):
            frame, info = way.replay(env, count)
            assert info["ram"].tobytes() == rams[len(rams) - length + count - 1]
        np.testing.assert_array_equal(frame, EnvState.from_bytes(state).frame)


def test_long_trajectories_keep_a_state_now_and_then():
    env = make_env("FakeGame")
    env.reset(seed=0)
    recorder = PathRecorder(None, env.get_state().to_bytes(), 0)
    assert recorder.way() is None
    play(env, recorder, [0] * 200)
    path = recorder.path(150, 160)
    # States at 0, 32, 64, 96, 128 ...; 96 is the last one 24 steps before 150.
    assert [step for step, _ in path.checkpoints] == [0, 32]
    assert len(path.actions) == 160 - 96 and path.seeds == ()
    assert len(recorder.path(10, 12).actions) == 12 and recorder.path(10, 12).seeds == ((0, 0),)


def test_a_replay_begins_at_the_last_state_before_its_end():
    env = make_env("FakeGame")
    env.reset(seed=0)
    states = []
    for _ in range(3):
        states.append(env.get_state().to_bytes())
        env.advance(3)
    wrong_first = Path(((0, states[2]), (1, states[1])), bytes([3, 3]), ())
    _, info = wrong_first.replay(env, 1)
    assert info["ram"][1] == EnvState.from_bytes(states[1]).emulator[1]
