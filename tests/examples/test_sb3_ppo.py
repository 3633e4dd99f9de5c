"""The PPO example, at the smallest scale."""

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (the extra sb3)")

from envs import make_env
from tokenizer import Tokenizer, TokenizerConfig

SMALL = {"frame_height": 16, "frame_width": 24}


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("sb3_ppo")


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    made = Tokenizer(
        TokenizerConfig(
            **SMALL, encoder_width=16, encoder_depth=1, decoder_width=16, decoder_depth=1,
            decoder_fine_depth=1, fsq_levels=[4, 3],
        )
    )  # fmt: skip
    # Fresh weights give nearly every patch the same token.
    last = made.network.encoder[-1]
    torch.nn.init.normal_(last.weight, std=2.0)
    return made


def arguments(example, *words):
    usual = "--game FakeGame --num-envs 2 --frame-stack 2 --episode-steps 3 --device cpu"
    return example.parse([*usual.split(), *words])


def laid_out(tokenizer, frame):
    """The code vectors of a frame on the grid, written out: (2 dimensions, 2 rows, 3 columns)."""
    codes = tokenizer.embed(tokenizer.encode(frame)).numpy()
    return np.array(
        [[[codes[3 * row + column, d] for column in range(3)] for row in range(2)]
         for d in range(2)]
    )  # fmt: skip


def test_observations_are_stacked_code_vectors(example, tokenizer):
    env = example.vector_env("FakeGame", tokenizer, arguments(example, "--seed", "4"), False)
    plain = make_env("FakeGame", **SMALL)
    frames = [plain.reset(seed=5)[0]]  # the second environment gets the seed 4 + 1
    seen = env.reset()
    assert seen.shape == (2, 4, 2, 3) and seen.dtype == np.float32
    assert np.array_equal(seen[1, :2], np.zeros((2, 2, 3)))
    assert np.array_equal(seen[1, 2:], laid_out(tokenizer, frames[0]))
    assert len(np.unique(seen[1, 2:])) > 2
    for _ in range(3):
        frames.append(plain.step(2)[0])
        seen, rewards, ended, infos = env.step(np.array([0, 2]))
    assert ended.all() and infos[1]["TimeLimit.truncated"]
    last = np.concatenate([laid_out(tokenizer, frame) for frame in frames[-2:]])
    assert np.array_equal(infos[1]["terminal_observation"], last)
    # After the end only the new episode's first frame is there.
    assert np.array_equal(seen[1, :2], np.zeros((2, 2, 3))) and seen[1, 2:].any()


def test_features_depend_on_every_stacked_frame(example):
    space = example.spaces.Box(-1, 1, (4, 2, 3), np.float32)
    features = example.GridFeatures(space, features_dim=5, width=8)
    observations = torch.randn(2, 4, 2, 3, requires_grad=True)
    made = features(observations)
    assert made.shape == (2, 5)
    made.sum().backward()
    assert (observations.grad != 0).flatten(2).any(2).all()


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
