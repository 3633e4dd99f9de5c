import copy
import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing

from worldtokens.envs import EnvState, list_games, make_env, ram_labels

# Q*bert's states are replayed; the others are ale-py's own.
GAMES = ("FakeGame", "MontezumaRevenge", "Pong", "Qbert")


def play(env, actions):
    """Everything that an episode shows under these actions."""
    shown = []
    for action in actions:
        frame, reward, terminated, truncated, info = env.step(action)
        shown.append(
            (frame.tobytes(), reward, terminated, truncated, info["ram"].tobytes(), info["lives"])
        )
        if terminated or truncated:
            break
    return shown


def actions_for(env, count, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(env.action_space.n, size=count // 5), 5).tolist()


def test_frames_and_info_have_the_promised_form():
    env = make_env("MontezumaRevenge")
    frame, info = env.reset(seed=3)
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8
    assert env.observation_space.contains(frame)
    assert info["ram"].shape == (128,) and info["ram"].dtype == np.uint8
    assert info["lives"] == 6
    assert info["ram"][ram_labels("MontezumaRevenge")["room"]] == 1
    assert env.action_space.n == 18
    assert env.action_meanings[:3] == ("NOOP", "FIRE", "UP")


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_the_same_seed_and_actions_give_the_same_episode(name, sticky):
    runs = []
    for _ in range(2):
        env = make_env(name, repeat_action_probability=sticky, noop_max=10)
        first, _ = env.reset(seed=5)
        runs.append((first.tobytes(), play(env, actions_for(env, 60))))
    assert runs[0] == runs[1]


def test_seeds_matter():
    starts = []
    for seed in range(4):
        env = make_env("MontezumaRevenge", noop_max=30)
        _, info = env.reset(seed=seed)
        starts.append(info["ram"].tobytes())
    assert len(set(starts)) > 1


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("settings", ({}, {"repeat_action_probability": 0.25}, {"frame_skip": 1}))
def test_a_restored_run_equals_the_continued_run(name, settings):
    env = make_env(name, **settings)
    env.reset(seed=1)
    play(env, actions_for(env, 110))
    state = env.get_state()
    later = actions_for(env, 60, seed=1)
    continued = play(env, later)

    # In another environment with another past, and from bytes.
    other = make_env(name, **settings)
    other.reset(seed=2)
    play(other, actions_for(other, 35, seed=2))
    frame, info = other.restore_state(EnvState.from_bytes(state.to_bytes()))
    np.testing.assert_array_equal(frame, state.frame)
    assert info["lives"] == state.lives
    assert play(other, later) == continued

    # And again in the first one.
    env.restore_state(state)
    assert play(env, later) == continued


def test_restored_ram_is_that_of_the_saved_moment():
    env = make_env("MontezumaRevenge")
    env.reset(seed=1)
    for action in actions_for(env, 50):
        _, _, _, _, info = env.step(action)
    state = env.get_state()
    play(env, actions_for(env, 50, seed=1))
    _, restored = env.restore_state(state)
    np.testing.assert_array_equal(restored["ram"], info["ram"])


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("settings", ({}, {"repeat_action_probability": 0.25}, {"frame_skip": 1}))
def test_a_copy_goes_on_as_the_original(name, settings):
    env = make_env(name, **settings)
    env.reset(seed=1)
    play(env, actions_for(env, 110))
    later = actions_for(env, 60, seed=1)
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    copies.append(copy.deepcopy(copies[0]))
    frame, screen = env.frame.tobytes(), env.render().tobytes()
    continued = play(env, later)
    assert len(set(part[0] for part in continued)) > 1
    for one in copies:
        assert (one.frame.tobytes(), one.render().tobytes()) == (frame, screen)
        assert play(one, later) == continued
        # An episode of its own.
        one.reset(seed=3)
    assert env.render().tobytes() != screen
    first = [one.reset(seed=5)[0].tobytes() for one in (env, *copies)]
    assert len(set(first)) == 1


PLAY_ON = """
import hashlib, pickle, sys
env, actions = pickle.load(sys.stdin.buffer)
shown = [env.frame.tobytes(), env.render().tobytes()]
shown += [env.step(action)[0].tobytes() for action in actions]
print(hashlib.sha256(b"".join(shown)).hexdigest())
"""


def test_a_copy_in_another_process():
    env = make_env("Pong", repeat_action_probability=0.25)
    env.reset(seed=1)
    play(env, actions_for(env, 50))
    later = actions_for(env, 40, seed=1)
    there = subprocess.run(
        [sys.executable, "-c", PLAY_ON], input=pickle.dumps((env, later)), capture_output=True,
        check=True, timeout=120,
    )  # fmt: skip
    shown = [env.frame.tobytes(), env.render().tobytes()]
    shown += [env.step(action)[0].tobytes() for action in later]
    assert there.stdout.decode().strip() == hashlib.sha256(b"".join(shown)).hexdigest()


def test_copies_before_a_reset_and_after_an_end():
    env = make_env("Pong", max_episode_steps=2)
    before = copy.deepcopy(env)
    assert before.reset(seed=1)[0].tobytes() == env.reset(seed=1)[0].tobytes()
    env.step(0), env.step(0)
    with pytest.raises(ValueError, match=r"call reset\(\)"):
        copy.deepcopy(env).step(0)


def test_what_other_libraries_look_for():
    env = make_env("Breakout")
    _, info = env.reset(seed=0)
    assert env.get_action_meanings() == ["NOOP", "FIRE", "RIGHT", "LEFT"]
    assert env.ale.lives() == 5 and env.ale.getRAM().tolist() == info["ram"].tolist()
    assert env.metadata["render_fps"] == 15
    assert make_env("Breakout", frame_skip=8).metadata["render_fps"] == 7.5
    fake = make_env("FakeGame", frame_skip=1)
    fake.reset(seed=0)
    assert fake.ale.lives() == 3 and fake.metadata["render_fps"] == 60


def test_sb3s_wrappers_take_it():
    wrappers = pytest.importorskip(
        "stable_baselines3.common.atari_wrappers", reason="needs stable-baselines3 (the extra sb3)"
    )
    env = wrappers.AtariWrapper(make_env("Breakout", frame_skip=1), noop_max=10)
    frame, _ = env.reset(seed=2)
    assert frame.shape == (84, 84, 1)
    # A lost life ends an episode, but not the game.
    lives = []
    for _ in range(2000):
        *_, terminated, _, info = env.step(1)
        if terminated:
            lives.append(info["lives"])
            env.reset()
            if len(lives) == 5:
                break
    assert lives == [4, 3, 2, 1, 0]


def test_states_of_other_frames_are_refused():
    env = make_env("FakeGame")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(32, 32, 3\), got \(64, 64, 3\)"):
        make_env("FakeGame", frame_height=32, frame_width=32).restore_state(env.get_state())


def test_truncation_is_not_termination():
    env = make_env("Pong", max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    with pytest.raises(ValueError, match=r"call reset\(\)"):
        env.step(0)
    with pytest.raises(ValueError, match="get_state: expected an episode that goes on"):
        env.get_state()


def test_a_lost_life_ends_the_episode_when_asked():
    def first_end(**settings):
        env = make_env("FakeGame", **settings)
        _, info = env.reset(seed=0)
        action = env.action_meanings.index("RIGHT")
        for step in range(500):
            _, _, terminated, _, info = env.step(action if step % 200 < 100 else 0)
            if terminated or info["lives"] < 3:
                return terminated, info["lives"]
        return None

    lives = []
    env = make_env("FakeGame")
    env.reset(seed=0)
    for action in np.random.default_rng(0).integers(6, size=3000).repeat(8):
        _, _, terminated, _, info = env.step(action)
        lives.append(info["lives"])
        if terminated:
            break
    assert lives[-1] in (0, 1, 2, 3) and lives == sorted(lives, reverse=True)
    end = first_end(terminate_on_life_loss=True)
    assert end in ((True, 2), None)


def test_wrong_arguments_name_the_close_ones():
    message = "got an unexpected keyword argument 'frame_skp'; did you mean frame_skip"
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=message):
            make_env("Pong", frame_skp=2)
    # As ale-py's own environments spell it.
    assert make_env("Pong", frameskip=2).config.frame_skip == 2
    env = make_env("Pong")
    env.reset(seed=0)
    for action in (2.9, "1", None, np.zeros(2)):
        with pytest.raises(TypeError, match="action: expected a whole number, got "):
            env.step(action)
    with pytest.raises(ValueError, match=r"action: expected a number in \[0, 6\), got 6"):
        env.step(6)


@pytest.mark.slow
def test_every_game_plays():
    for name in list_games():
        env = make_env(name)
        env.reset()
        frame, *_ = env.step(env.action_space.n - 1)
        assert frame.shape == (64, 64, 3), name


def test_gymnasium_preprocesses_an_environment_without_frame_skip():
    raw = make_env("Pong", frame_skip=1, frame_height=210, frame_width=160)
    wrapped = AtariPreprocessing(raw)
    frame, _ = wrapped.reset(seed=0)
    assert frame.shape == (84, 84) and frame.any()
    for env in (make_env("Pong"), make_env("Pong", frame_skip=1)):
        with pytest.raises(ValueError, match="make it with frame_skip=1, frame_height=210 a"):
            AtariPreprocessing(env)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 2.9}, "seed: expected a whole number of at least 0, got 2.9"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"seed": "x"}, "seed: expected a whole number of at least 0, got 'x'"),
        ({"options": "x"}, "options: expected a dict, got str 'x'"),
    ],
)
@pytest.mark.parametrize("name", ("FakeGame", "gymnasium:CartPole-v1"))
def test_wrong_arguments_of_a_reset_are_named(name, arguments, message):
    with pytest.raises((ValueError, TypeError)) as error:
        make_env(name).reset(**arguments)
    assert str(error.value) == message


def test_a_seed_of_numpy_is_a_seed():
    env = make_env("FakeGame")
    assert (env.reset(seed=np.int64(3))[0] == env.reset(seed=3)[0]).all()
