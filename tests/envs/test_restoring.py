import pytest
from dot_env import DotEnv, Uncopied, UnseededEnv

from worldtokens.envs import make_env
from worldtokens.envs.restoring import copies_repeat, restoring_problem


@pytest.mark.parametrize(
    ("env_type", "repeats"), [(DotEnv, True), (UnseededEnv, False), (Uncopied, False)]
)
def test_copies_that_play_alike_are_sound(env_type, repeats):
    env = make_env("Dot", _target_=f"dot_env.{env_type.__name__}")
    env.reset(seed=0)
    before = list(env.inner.unwrapped.at)
    assert copies_repeat(env.inner, env._to_inner, 6, env.rule) == repeats
    assert env.inner.unwrapped.at == before and env.inner.unwrapped.steps == 0


def test_games_of_atari_can_be_restored():
    first, second = make_env("FakeGame"), make_env("FakeGame")
    assert first.restoring_problem == "" and restoring_problem(first, second) == ""


def test_an_episode_shorter_than_the_trial_is_no_problem():
    first, second = (
        make_env("Dot", _target_="dot_env.DotEnv", kwargs={"length": 3}) for _ in range(2)
    )
    assert restoring_problem(first, second) == ""


def test_an_error_is_a_problem():
    first, second = make_env("FakeGame"), make_env("FakeGame", frame_height=32)
    assert restoring_problem(first, second).startswith("a state cannot be restored (state: expecte")
