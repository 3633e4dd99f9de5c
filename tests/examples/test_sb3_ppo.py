"""The PPO example, at the smallest scale."""

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (the extra sb3)")

from worldtokens.envs import make_env

SMALL = {"frame_height": 16, "frame_width": 24}


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("sb3_ppo")


@pytest.fixture(scope="module")
def tokenizer(new_tiny_tokenizer):
    return new_tiny_tokenizer()


def arguments(example, *words):
    usual = "--game FakeGame --num-envs 2 --frame-stack 2 --episode-steps 3 --device cpu"
    return example.parse([*usual.split(), *words])


def test_observations_are_stacked_tokens(example, tokenizer):
    env = example.vector_env("FakeGame", tokenizer, arguments(example, "--seed", "4"), False)
    plain = make_env("FakeGame", **SMALL)
    frames = [plain.reset(seed=5)[0]]  # the second environment gets the seed 4 + 1
    seen = env.reset()
    assert seen.shape == (2, 2, 6) and seen.dtype == np.int64
    assert seen[1].tolist() == [[0] * 6, tokenizer.encode(frames[0]).tolist()]
    assert len(np.unique(seen[1, 1])) > 1
    for _ in range(3):
        frames.append(plain.step(2)[0])
        seen, rewards, ended, infos = env.step(np.array([0, 2]))
    assert ended.all() and infos[1]["TimeLimit.truncated"]
    last = [tokenizer.encode(frame).tolist() for frame in frames[-2:]]
    assert infos[1]["terminal_observation"].tolist() == last
    # After the end only the new episode's first frame is there.
    assert seen[1, 0].tolist() == [0] * 6 and seen[1, 1].any()


@pytest.fixture
def features(example, tokenizer):
    space = example.spaces.Box(0, 11, (2, 6), np.int64)
    return example.CodeFeatures(space, tokenizer, features_dim=5, width=8)


def test_code_vectors_stand_on_the_grid(features, tokenizer):
    tokens = torch.arange(12).reshape(1, 2, 6)
    vectors = features.embed_grid(tokens)
    assert vectors.shape == (1, 4, 2, 3)
    codes = tokenizer.embed(tokens)
    # The second frame's fifth token stands in the second row and column.
    assert vectors[0, 2:, 1, 1].tolist() == codes[0, 1, 4].tolist()
    assert vectors[0, :2, 0, 2].tolist() == codes[0, 0, 2].tolist()


def test_the_tokenizer_is_no_part_of_the_policy(features, tokenizer):
    features(torch.zeros(3, 2, 6)).sum().backward()
    assert all(name.startswith("layers.") for name, _ in features.named_parameters())
    assert all(parameter.grad is None for parameter in tokenizer.parameters())


def test_rewards_are_clipped_for_training_only(example):
    class Paying(example.gymnasium.Env):
        def step(self, action):
            return None, 400.0, False, False, {}

    assert example.signs(Paying()).step(0)[1] == 1.0


def test_main(example, tokenizer, tmp_path, capsys):
    tokenizer.save_pretrained(tmp_path)
    words = ["--tokenizer", str(tmp_path), "--steps", "16", "--rollout-steps", "8"]
    scores = example.main(arguments(example, *words, "--episodes", "2"))
    # Nothing can be scored in three steps of the fake game.
    assert (scores.trained, scores.random) == (0.0, 0.0)
    assert "over 2 episodes: PPO after 16 steps 0.0, random play 0.0" in capsys.readouterr().out
