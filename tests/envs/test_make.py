import pytest

from worldtokens.envs import AtariEnv, GymnasiumEnv, make_env, ram_labels, room_layout


def test_names_choose_the_kind():
    assert isinstance(make_env("FakeGame"), AtariEnv)
    env = make_env("gymnasium:CartPole-v1", action_names=["left", "right"])
    assert isinstance(env, GymnasiumEnv) and env.action_meanings == ("LEFT", "RIGHT")
    frame, _ = env.reset(seed=0)
    assert frame.shape == (64, 64, 3) and 200 < frame.mean() < 255
    assert ram_labels("gymnasium:CartPole-v1") == {} == room_layout("gymnasium:CartPole-v1")


def test_a_grid_world_is_shown_by_render():
    env = make_env("gymnasium:minigrid:MiniGrid-Empty-5x5-v0")
    assert env.action_meanings[:3] == ("LEFT", "RIGHT", "FORWARD")
    assert env.conversion.startswith("render(): uint8 (160, 160, 3), axes HWC, RGB; area resize")
    assert env.restoring_problem == ""


def test_a_wrong_name_tells_of_gymnasium():
    with pytest.raises(ValueError, match=r"game: expected the name .* \(or gymnasium:ID for anoth"):
        make_env("CartPole-v1")
