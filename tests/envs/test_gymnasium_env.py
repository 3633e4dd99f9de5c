import numpy as np
import pytest

from worldtokens.envs import EnvConfig, EnvState, FrameEnv, GymnasiumEnv, make_env


def dot(**overrides) -> GymnasiumEnv:
    settings = {"_target_": "dot_env.DotEnv", "frame_height": 24, "frame_width": 24, **overrides}
    env = make_env("Dot", **settings)
    assert isinstance(env, GymnasiumEnv) and isinstance(env, FrameEnv)
    return env


def play(env, actions):
    return [env.step(action) for action in actions]


def same(first, second):
    return len(first) == len(second) and all(
        (a[0] == b[0]).all() and a[1:4] == b[1:4] and a[4]["lives"] == b[4]["lives"]
        for a, b in zip(first, second, strict=True)
    )


def test_frames_rewards_and_infos():
    env = dot()
    assert env.config.name == "gymnasium:Dot" and not env.config.is_atari
    assert env.conversion == (
        "observation 'camera': float32 (3, 24, 24), axes CHW, RGB, 0 to 1 become 0 to 255; as it is"
    )
    frame, info = env.reset(seed=4)
    assert frame.shape == (24, 24, 3) and frame.dtype == np.uint8
    x, y = env.inner.unwrapped.at
    assert frame[y, x].tolist() == [255, 0, 51] and frame[(y + 1) % 24, x].tolist() == [0, 0, 51]
    assert info["lives"] == 3 and info["ram"].tolist() == [0] * 128
    after, reward, terminated, truncated, info = env.step(4)
    assert env.inner.unwrapped.at[0] == (x + 1) % 24
    assert (reward, terminated, truncated) == (float(x == 23), False, False)
    assert (env.render() == after).all() and env.action_space.n == 6


def test_an_episode_ends_once():
    env = dot(kwargs={"length": 2})
    env.reset(seed=0)
    assert [step[2:4] for step in play(env, [0, 0])] == [(False, False), (True, False)]
    with pytest.raises(ValueError, match="expected an episode that goes on"):
        env.step(0)
    with pytest.raises(ValueError, match=r"action: expected a number in \[0, 6\), got 6"):
        dot().step(6)
    limited = dot(max_episode_steps=3)
    limited.reset(seed=0)
    assert [step[2:4] for step in play(limited, [0] * 3)][-1] == (False, True)
    mortal = dot(terminate_on_life_loss=True)
    mortal.reset(seed=0)
    assert [step[2] for step in play(mortal, [0] * 8)] == [False] * 7 + [True]


def test_repeated_actions_add_their_rewards():
    env = make_env("R", _target_="dot_env.RenderedEnv", action_repeat=4)
    assert env.action_meanings == ("LEFT", "RIGHT") and env.metadata["render_fps"] == 7.5
    env.reset(seed=0)
    frame, reward, *_ = env.step(1)
    assert env.inner.unwrapped.taken == [6] * 4 and reward == 4.0
    assert (frame == 40).all() and env.render().shape == (32, 48, 3)
    assert [step[1:4] for step in play(env, [0, 0])] == [(4.0, False, False), (1.0, False, True)]


def test_a_seed_repeats_everything():
    runs = []
    for _ in range(2):
        env = dot()
        env.reset(seed=5)
        runs.append(play(env, [0, 5, 3]))
        env.reset()
        runs[-1] += play(env, [1, 2, 4])
    assert same(*runs)


@pytest.mark.parametrize("target", ("DotEnv", "Uncopied"))
def test_a_restored_state_goes_on_the_same_in_any_process(target):
    env, other = dot(_target_=f"dot_env.{target}"), dot(_target_=f"dot_env.{target}")
    env.reset(seed=6)
    play(env, [0, 1, 2])
    env.reseed(77)
    play(env, [3])
    state = env.get_state()
    then = play(env, [4, 5, 0, 1])
    saved = EnvState.from_bytes(state.to_bytes())
    assert b"seed" in saved.emulator and saved.emulator.endswith(bytes([0, 1, 2, 3]))
    for each in (env, other, env):
        frame, info = each.restore_state(saved)
        assert (frame == state.frame).all() and info["lives"] == 3
        assert same(play(each, [4, 5, 0, 1]), then)
    assert len(env._copies) == (target == "DotEnv") and not other._copies
    assert env.restoring_problem == ""
    # Another generator goes on in another way.
    frames = []
    for seed in (1, 2):
        env.restore_state(saved)
        env.reseed(seed)
        frames.append(play(env, [4] * 5)[-1][0])
    assert (frames[0] != frames[1]).any()


def test_states_that_fit_no_longer_are_refused():
    env = dot()
    with pytest.raises(ValueError, match="get_state: .* got one that has ended; call reset"):
        env.get_state()
    env.reset(options={"a": 1})
    with pytest.raises(ValueError, match="get_state: .* got one with options; call reset"):
        env.get_state()
    env.reset(seed=0)
    play(env, [5] * 4)
    state = env.get_state()
    with pytest.raises(ValueError, match=r"expected a frame of shape \(32, 32, 3\), got \(24, 24"):
        dot(frame_height=32, frame_width=32).restore_state(state)
    with pytest.raises(ValueError, match="goes on for 4 steps, got one that ended at step 1"):
        dot(kwargs={"length": 2}).restore_state(state)


def test_an_environment_that_does_not_repeat_says_so():
    env = dot(_target_="dot_env.UnseededEnv")
    assert "a restored state goes on differently, 1 steps later" in env.restoring_problem


def test_copies_are_forgotten_after_a_while(monkeypatch):
    monkeypatch.setattr("worldtokens.envs.gymnasium_env._MOST_COPIES", 2)
    env = dot()
    env.reset(seed=0)
    for action in range(4):
        env.step(action)
        env.get_state()
    assert [key[-1] for key in env._copies] == [2, 3]
    env.close()
    assert not env._copies


def test_bad_environments_are_refused():
    with pytest.raises(ValueError, match="expected discrete actions, got Box"):
        dot(_target_="dot_env.ContinuousEnv")
    with pytest.raises(ValueError, match="expected dot_env.not_an_env to return a gymnasium.Env"):
        dot(_target_="dot_env.not_an_env")
    with pytest.raises(ValueError, match="_target_: dot_env.Nothing cannot be imported"):
        dot(_target_="dot_env.Nothing")
    with pytest.raises(ValueError, match="gymnasium:MODULE:Nothing-v0"):
        make_env("gymnasium:Nothing-v0")


def test_the_settings_of_each_kind_stay_apart():
    with pytest.raises(ValueError, match="got frame_skip, which only a game of Atari has"):
        EnvConfig("gymnasium:CartPole-v1", frame_skip=2)
    with pytest.raises(ValueError, match="settings of Pong, got action_repeat, which a"):
        EnvConfig("Pong", action_repeat=2)
    with pytest.raises(ValueError, match="expected a name of your choice .*, got pong, a game"):
        EnvConfig("pong", _target_="dot_env.DotEnv")
    with pytest.raises(ValueError, match="expected gymnasium:ID"):
        EnvConfig("gymnasium:")
    with pytest.raises(ValueError, match="layout: expected one of auto, HW, "):
        EnvConfig("gymnasium:CartPole-v1", layout="XY")
    assert list(EnvConfig("Pong").stored()) == [
        "name", "frame_skip", "frame_height", "frame_width", "repeat_action_probability",
        "terminate_on_life_loss", "full_action_space", "max_episode_steps", "noop_max",
    ]  # fmt: skip
    assert "frame_skip" not in EnvConfig("gymnasium:CartPole-v1").stored()
