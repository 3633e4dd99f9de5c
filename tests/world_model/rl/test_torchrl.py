"""TorchRL's wrappers around dreams and around games observed as tokens."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from worldtokens import ImaginedVectorEnv, VectorTokenObservation
from worldtokens.collect import EpisodeDataset

with warnings.catch_warnings():
    # Its compiled parts may be of another PyTorch version, which it warns of; they are not used.
    warnings.simplefilter("ignore")
    pytest.importorskip("torchrl", reason="needs torchrl (the extra torchrl)")
    from torchrl.envs import GymEnv, GymWrapper
    from torchrl.envs.utils import check_env_specs

pytestmark = pytest.mark.filterwarnings("default")
OBSERVATIONS = ("tokens", "embeddings", "frames")
NUM_ENVS, HORIZON = 3, 4


@pytest.fixture
def make(models, dataset, never_ending, tiny_tokenizer):
    """Makes environments whose episodes are truncated after four steps."""
    never_ending(models[0])

    def of(kind, observation, mode):
        if kind == "dream":
            return ImaginedVectorEnv(
                *models, EpisodeDataset(dataset), NUM_ENVS, HORIZON, observation=observation,
                autoreset_mode=mode,
            )  # fmt: skip
        games = gymnasium.make_vec(
            "worldtokens/FakeGame", NUM_ENVS, "sync", {"autoreset_mode": AutoresetMode[mode]},
            frame_height=16, frame_width=24, max_episode_steps=HORIZON,
        )  # fmt: skip
        return VectorTokenObservation(games, tiny_tokenizer, observation)

    return of


@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("kind", ["dream", "game"])
def test_gym_wrapper(make, kind, observation, mode):
    check_env_specs(GymWrapper(make(kind, observation, mode)))
    env = GymWrapper(make(kind, observation, mode))
    env.set_seed(0)
    rolled = env.rollout(10, break_when_any_done=False)
    assert rolled.batch_size == (NUM_ENVS, 10)
    done = rolled["next", "done"][..., 0]
    assert done.tolist() == [[t in (3, 7) for t in range(10)]] * NUM_ENVS
    # The last observations of episodes, and the first ones of those that follow, are there.
    seen = rolled["next", "observation"].numpy()
    for t in range(9):
        follows = rolled["observation"][:, t + 1].numpy()
        assert np.array_equal(follows, seen[:, t]) != (t in (3, 7))


def test_next_step_is_refused_by_torchrl(make):
    with pytest.raises(RuntimeError, match="must be one of SAME_STEP or DISABLED"):
        GymWrapper(make("dream", "tokens", "NEXT_STEP"))


def test_gym_env(trained, dataset, tokenizer_folder):
    tokenizer = str(tokenizer_folder)
    model = str(trained / "FakeGame" / "world_model")
    dream = GymEnv(
        "worldtokens/Dream", model=model, tokenizer=tokenizer, start=str(dataset), horizon=3,
        observation="tokens",
    )  # fmt: skip
    tokens = GymEnv(
        "worldtokens/Tokens", game="FakeGame", tokenizer=tokenizer, observation="embeddings",
        max_episode_steps=3,
    )  # fmt: skip
    plain = GymEnv("worldtokens/FakeGame", max_episode_steps=3)
    for env in (dream, tokens, plain):
        check_env_specs(env)
        rolled = env.rollout(7, break_when_any_done=False)
        ends = rolled["next", "done"][:, 0].tolist()
        # The untrained world model may end a dream sooner.
        assert any(ends[:3]) if env is dream else ends == [t in (2, 5) for t in range(7)]
    with pytest.raises(TypeError, match="unexpected keyword argument 'lives'"):
        GymEnv("worldtokens/FakeGame", lives=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'lives'"):
        GymEnv("worldtokens/Dream", model=model, tokenizer=tokenizer, start=str(dataset), lives=3)
