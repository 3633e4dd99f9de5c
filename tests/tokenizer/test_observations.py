import numpy as np
import pytest
import torch
from gymnasium import spaces

from worldtokens.tokenizer.observations import check_mode, observation_space, observe


def test_modes():
    assert [check_mode(mode) for mode in ("tokens", "embeddings", "frames")] == [
        "tokens", "embeddings", "frames",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"observation: expected one of \('tokens', .*'pixels'"):
        check_mode("pixels")


def test_observations_of_tokens(tiny_tokenizer):
    tokens = torch.tensor([[0, 1, 2, 3, 4, 11]])
    assert observe(tiny_tokenizer, tokens, "tokens").tolist() == tokens.tolist()
    # Four levels are -1, -0.5, 0, 0.5; three are -1, 0, 1.
    embeddings = observe(tiny_tokenizer, tokens, "embeddings")
    assert embeddings[0, [0, 1, 4, 5]].tolist() == [[-1, -1], [-0.5, -1], [-1, 0], [0.5, 1]]
    frames = observe(tiny_tokenizer, tokens, "frames")
    assert np.array_equal(frames, tiny_tokenizer.decode(tokens).numpy())


def test_spaces_hold_all_observations(tiny_tokenizer):
    tokens = np.full(6, 12)
    assert observation_space(tiny_tokenizer, "tokens") == spaces.MultiDiscrete(tokens, np.int64)
    low, high = np.tile([-1.0, -1.0], (6, 1)), np.tile([0.5, 1.0], (6, 1))
    box = spaces.Box(low.astype(np.float32), high.astype(np.float32))
    assert observation_space(tiny_tokenizer, "embeddings") == box
    assert observation_space(tiny_tokenizer, "frames") == spaces.Box(0, 255, (16, 24, 3), np.uint8)
