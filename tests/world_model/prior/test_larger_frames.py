import numpy as np
import pytest
import torch

from worldtokens.world_model.prior.larger_frames import decode_larger, show_known, split_known


def test_larger_frames_are_decoded_from_the_middles_of_windows(tiny_tokenizer):
    # 16 x 24 pixels of 2 x 3 tokens of 8 pixels each.
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(12, (2, 4, 5), generator=generator)
    frames = decode_larger(tiny_tokenizer, tokens)
    assert frames.shape == (2, 32, 40, 3) and frames.dtype == np.uint8
    corner = tiny_tokenizer.decode(tokens[:, :2, :3].flatten(1)).numpy()
    assert np.array_equal(frames[:, :8, :8], corner[:, :8, :8])
    last = tiny_tokenizer.decode(tokens[:, 2:, 2:].flatten(1)).numpy()
    assert np.array_equal(frames[:, 16:, 16:], last)
    own = decode_larger(tiny_tokenizer, tokens[:, :2, :3])
    assert np.array_equal(own, corner)


def test_known_rows():
    tokens = torch.arange(12)[None]
    assert split_known(tokens, (3, 4), 0.5).tolist() == [list(range(8))]
    assert split_known(tokens, (3, 4), 0.0).shape == (1, 0)
    frames = np.full((1, 6, 2, 3), 7, np.uint8)
    assert show_known(frames, 0.5, 3)[0, :, 0, 0].tolist() == [7] * 4 + [90] * 2


def test_tokens_must_stand_for_patches(new_tiny_tokenizer):
    tokenizer = new_tiny_tokenizer(quantizer="vq", codebook_size=16, residual_depth=2)
    with pytest.raises(ValueError, match="larger: expected a tokenizer with one token for each"):
        decode_larger(tokenizer, torch.zeros(1, 4, 5, dtype=torch.int64))
