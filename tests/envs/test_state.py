import numpy as np
import pytest

from worldtokens.envs import EnvState, make_env


def test_bytes_hold_everything():
    env = make_env("FakeGame")
    env.reset(seed=0)
    env.step(3)
    state = env.get_state()
    again = EnvState.from_bytes(state.to_bytes())
    np.testing.assert_array_equal(again.frame, env.frame)
    assert again.emulator == state.emulator and again.generator == state.generator
    assert (again.steps, again.lives, again.last_action) == (1, 3, 0)


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="state: expected a saved EnvState, got 12 other bytes"):
        EnvState.from_bytes(b"\x05\x00\x00\x00nonsense")
