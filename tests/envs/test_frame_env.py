import gymnasium

from worldtokens.envs import FrameEnv, make_env


def test_games_of_atari_need_no_conversion():
    env = make_env("FakeGame")
    assert isinstance(env, FrameEnv) and isinstance(env, gymnasium.Env)
    assert env.conversion == "" and env.get_action_meanings() == list(env.action_meanings)
