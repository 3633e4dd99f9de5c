"""`to_sb3`: the same as SB3's own vector environments, and PPO that learns in dreams."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (the extra sb3)")

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from worldtokens import ImaginedVectorEnv, VectorTokenObservation, to_sb3
from worldtokens.collect import EpisodeDataset
from worldtokens.envs import make_env
from worldtokens.world_model.data.segments import TokenDataset
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.training.losses import world_model_loss
from worldtokens.world_model.training.token_sampling import sample_tokens

SMALL = {"frame_height": 16, "frame_width": 24}
# Some episodes end with a lost life, some at the limit.
GAME = {**SMALL, "terminate_on_life_loss": True, "max_episode_steps": 45}
RIGHT = 1


def games(mode, **settings):
    return gymnasium.make_vec(
        "worldtokens/FakeGame", num_envs=3, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode}, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_it_is_as_sb3s_own_vector_environment(mode):
    ours = to_sb3(games(mode, **GAME))
    theirs = DummyVecEnv([lambda: make_env("FakeGame", **GAME)] * 3)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space and ours.num_envs == 3
    ours.seed(4), theirs.seed(4)
    assert np.array_equal(ours.reset(), theirs.reset())
    truncated = []
    for step in range(120):
        actions = np.array([3, 3 + step // 20 % 2, 0])
        (seen, rewards, ended, infos), expected = ours.step(actions), theirs.step(actions)
        for mine, other in zip((seen, rewards, ended), expected[:3], strict=True):
            assert np.array_equal(mine, other) and mine.dtype == other.dtype
        for info, other in zip(infos, expected[3], strict=True):
            assert set(info) == set(other) and info["lives"] == other["lives"]
            assert info["TimeLimit.truncated"] == other["TimeLimit.truncated"]
            assert np.array_equal(info["ram"], other["ram"])
            if "terminal_observation" in info:
                truncated.append(info["TimeLimit.truncated"])
                assert np.array_equal(info["terminal_observation"], other["terminal_observation"])
        for info, other in zip(ours.reset_infos, theirs.reset_infos, strict=True):
            assert np.array_equal(info["ram"], other["ram"])
    assert len(truncated) > 6 and 0 < sum(truncated) < len(truncated)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_dreams_and_tokens_behind_it(models, dataset, tiny_tokenizer, mode):
    dream = ImaginedVectorEnv(
        *models, EpisodeDataset(dataset), 3, 4, observation="embeddings", autoreset_mode=mode
    )
    tokens = VectorTokenObservation(games(mode, **GAME), tiny_tokenizer)
    for env, entries in ((dream, {"entropy", "lives_lost"}), (tokens, {"ram", "lives"})):
        env = to_sb3(env)
        env.seed(0)
        seen, ends = env.reset(), 0
        for _ in range(50):
            assert all(one in env.observation_space for one in seen)
            seen, rewards, ended, infos = env.step(np.array([2, 0, 1]))
            assert rewards.dtype == np.float32
            for info, done in zip(infos, ended, strict=True):
                expected = entries | {"TimeLimit.truncated"}
                assert set(info) == expected | ({"terminal_observation"} if done else set())
                ends += done
        assert ends >= 3
        assert len(env.get_images()) == 3 and env.get_images()[0].dtype == np.uint8


def test_attributes_and_methods_are_those_of_all(models, dataset):
    env = to_sb3(ImaginedVectorEnv(*models, EpisodeDataset(dataset), 2, 7))
    assert env.get_attr("horizon", indices=1) == [7] and env.get_attr("num_envs") == [2, 2]
    assert env.has_attr("horizon") and not env.has_attr("score")
    env.set_attr("horizon", 3)
    assert env.vector_env.horizon == 3
    env.reset()
    assert [len(frames) for frames in env.env_method("render")] == [2, 2]
    assert env.env_is_wrapped(gymnasium.Wrapper, [0]) == [False]
    with pytest.raises(ValueError, match="set_attr: expected indices=None, .*, got 1"):
        env.set_attr("horizon", 3, indices=1)
    with pytest.raises(ValueError, match="env_method: expected indices=None"):
        env.env_method("render", indices=[0])
    env.set_options({"room": 3})
    with pytest.raises(ValueError, match=r"options: expected none, got \{'room': 3\}"):
        env.reset()


def test_wrong_environments_are_named():
    with pytest.raises(TypeError, match="vector_env: expected a gymnasium.vector.VectorEnv, got A"):
        to_sb3(make_env("FakeGame"))
    env = games(AutoresetMode.DISABLED)
    env.metadata = {}
    with pytest.raises(ValueError, match=r"metadata\['autoreset_mode'\], got None"):
        to_sb3(env)


@pytest.fixture
def paying_model(models, dataset, never_ending):
    """A world model that has learned in which steps RIGHT was played, and pays for them."""
    model, tokenizer = models
    episodes = [
        dataclasses.replace(
            episode,
            rewards=100.0 * (episode.actions == RIGHT).astype(np.float32),
            terminated=np.zeros(len(episode), bool),
        )
        for episode in load_tokens(EpisodeDataset(dataset), tokenizer).episodes
    ]
    data, rng = TokenDataset(episodes), np.random.default_rng(0)
    optimizer = torch.optim.Adam(model.train().parameters(), 3e-3)
    for _ in range(60):
        segments = data.sample(16, 4, rng)
        sample = sample_tokens(segments, 1.0)
        prediction = model(segments.tokens, segments.actions, sample.predict_mask)
        loss = world_model_loss(prediction, segments, model.reward_values, sample)
        optimizer.zero_grad()
        loss.total().backward()
        optimizer.step()
    return never_ending(model.eval())


@pytest.mark.parametrize("observation", ["embeddings", "tokens"])
def test_ppo_learns_in_dreams(paying_model, models, dataset, observation):
    starts, horizon = EpisodeDataset(dataset), 8
    env = VecMonitor(
        to_sb3(
            ImaginedVectorEnv(
                paying_model,
                models[1],
                starts,
                16,
                horizon,
                observation=observation,
                autoreset_mode="SAME_STEP",
            )  # fmt: skip
        )
    )
    agent = PPO(
        "MlpPolicy", env, n_steps=16, batch_size=64, learning_rate=3e-3, gamma=0.5, seed=0,
        device="cpu", policy_kwargs={"net_arch": [16]},
    )  # fmt: skip

    def share() -> float:
        """How often the agent plays RIGHT where dreams begin."""
        seen = env.reset()
        return float(np.mean(agent.predict(seen, deterministic=False)[0] == RIGHT))

    before = np.mean([share() for _ in range(4)])
    agent.learn(2560)
    returns = [episode["r"] for episode in agent.ep_info_buffer]
    after = np.mean([share() for _ in range(4)])
    assert before < 0.6 and after > 0.85
    # Of 8 steps, each worth 100; random play gets about 267.
    assert np.mean(returns) > 500
