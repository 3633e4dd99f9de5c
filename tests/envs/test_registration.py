import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from worldtokens import envs
from worldtokens.envs.registration import register_games


def test_importing_envs_registers_every_game_once():
    ids = {id for id in gymnasium.registry if id.startswith("worldtokens/")}
    # Another test of this process may have loaded world models, which register these.
    ids -= {"worldtokens/Dream", "worldtokens/Tokens"}
    assert ids == {f"worldtokens/{name}" for name in envs.list_games()}
    register_games()


def test_make_takes_the_settings_of_the_environment():
    env = gymnasium.make("worldtokens/FakeGame", frame_height=32, render_mode="rgb_array")
    assert env.observation_space.shape == (32, 64, 3)
    direct = envs.make_env("FakeGame", frame_height=32)
    assert np.array_equal(env.reset(seed=3)[0], direct.reset(seed=3)[0])
    assert env.render().shape == (210, 160, 3)


@pytest.mark.filterwarnings("ignore:.*The environment .* is different from the unwrapped")
def test_check_env():
    check_env(gymnasium.make("worldtokens/FakeGame").unwrapped)


def test_make_vec():
    vector_env = gymnasium.make_vec("worldtokens/FakeGame", num_envs=2, frame_width=32)
    frames, infos = vector_env.reset(seed=[3, 4])
    direct = envs.make_env("FakeGame", frame_width=32)
    assert np.array_equal(frames[1], direct.reset(seed=4)[0])
    assert infos["ram"].shape == (2, 128)


def test_wrong_settings():
    with pytest.raises(ValueError, match="did you mean frame_height"):
        gymnasium.make("worldtokens/FakeGame", frame_hight=32)
    # TorchRL's GymEnv tries frameskip=1 first, and leaves the frame skip alone after this error.
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        gymnasium.make("worldtokens/FakeGame", frameskip=1)
    with pytest.raises(ValueError, match="render_mode: expected None or 'rgb_array', got 'ansi'"):
        envs.registration.make_registered("FakeGame", render_mode="ansi")
