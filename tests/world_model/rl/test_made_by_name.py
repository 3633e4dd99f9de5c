"""Dreams and tokens from gymnasium.make and make_vec, beside what the classes give."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from worldtokens import ImaginedVectorEnv, TokenObservation, make_env
from worldtokens.collect import EpisodeDataset
from worldtokens.world_model.rl.made_by_name import make_dream, make_dreams, make_token_vector

SMALL = {"frame_height": 16, "frame_width": 24}


@pytest.fixture
def places(trained, dataset, tokenizer_folder):
    """What names a dream: its folders."""
    return dict(
        model=str(trained / "FakeGame" / "world_model"), tokenizer=str(tokenizer_folder),
        start=str(dataset), observation="tokens", horizon=4,
    )  # fmt: skip


def test_one_dream_is_a_vector_of_one(places, loaded, dataset):
    dream = gymnasium.make("worldtokens/Dream", disable_env_checker=True, **places)
    vector = ImaginedVectorEnv(
        loaded.model, loaded.tokenizer, EpisodeDataset(dataset), 1, 4, observation="tokens",
        autoreset_mode="DISABLED",
    )  # fmt: skip
    assert dream.observation_space == vector.single_observation_space
    seen, info = dream.reset(seed=3)
    assert info == {} and seen.tolist() == vector.reset(seed=3)[0][0].tolist()
    ended = False
    while not ended:
        expected = vector.step(np.array([1]))
        seen, reward, terminated, truncated, info = dream.step(1)
        assert seen.tolist() == expected[0][0].tolist()
        assert [reward, terminated, truncated] == [part[0] for part in expected[1:4]]
        assert info == {name: expected[4][name][0] for name in ("entropy", "lives_lost")}
        ended = terminated or truncated
    assert np.array_equal(dream.render(), vector.render()[0])
    assert dream.reset()[0].tolist() == vector.reset()[0][0].tolist()


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.parametrize("observation", ["tokens", "embeddings", "frames"])
def test_check_env(places, observation):
    env = gymnasium.make("worldtokens/Dream", **{**places, "observation": observation})
    check_env(env.unwrapped)


def test_several_dreams(places):
    env = gymnasium.make_vec("worldtokens/Dream", 3, **places, autoreset_mode="SAME_STEP")
    assert isinstance(env.unwrapped, ImaginedVectorEnv) and env.num_envs == 3
    assert env.unwrapped.autoreset_mode is AutoresetMode.SAME_STEP


def test_tokens_of_games(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    one = gymnasium.make(
        "worldtokens/Tokens", game="FakeGame", tokenizer=str(tmp_path), max_episode_steps=7
    )
    several = gymnasium.make_vec(
        "worldtokens/Tokens", 2, game="FakeGame", tokenizer=str(tmp_path), autoreset_mode="DISABLED"
    )
    plain = TokenObservation(make_env("FakeGame", **SMALL), tiny_tokenizer)
    expected = plain.reset(seed=4)[0].tolist()
    assert one.reset(seed=4)[0].tolist() == several.reset(seed=[9, 4])[0][1].tolist() == expected
    expected = plain.step(2)[0].tolist()
    assert one.step(2)[0].tolist() == expected
    assert several.step(np.array([0, 2]))[0][1].tolist() == expected
    assert several.unwrapped.autoreset_mode is AutoresetMode.DISABLED


def test_wrong_arguments_are_named(places, loaded):
    with pytest.raises(ValueError, match="tokenizer: expected one beside a model that is no name"):
        make_dreams(2, loaded.model)
    with pytest.raises(ValueError, match="start: expected one beside a model that is no name"):
        make_dreams(2, loaded.model, loaded.tokenizer)
    with pytest.raises(ValueError, match="render_mode: expected None or 'rgb_array', got 'human'"):
        make_dream(**places, render_mode="human")
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):
        make_dream(**places, frameskip=4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'frame_skp'"):
        make_token_vector(2, "FakeGame", loaded.tokenizer, frame_skp=4)
