import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.codebook import count_codes, keep_frequent_codes

CONFIG = TokenizerConfig(
    frame_height=16, frame_width=16, network="resnet", quantizer="vq", encoder_width=32,
    encoder_depth=1, channel_multipliers=[1, 2], decoder_width=8, decoder_depth=1,
    codebook_size=16, code_dim=4,
)  # fmt: skip


@pytest.fixture
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    tokenizer = Tokenizer(CONFIG).eval()
    tokenizer.facts = dataclasses.replace(tokenizer.facts, game="Pong", metrics={"psnr": 40.0})
    return tokenizer


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), np.uint8)


def test_codes_are_counted(tokenizer, frames):
    dataset = SimpleNamespace(num_frames=9, gather_frames=lambda rows: frames[rows])
    counts = count_codes(tokenizer, dataset, every=2)  # pyright: ignore[reportArgumentType]
    tokens = tokenizer.encode(frames[::2])
    assert counts.tolist() == [int((tokens == code).sum()) for code in range(16)]
    assert counts.sum() == 5 * 4


def test_frames_of_kept_codes_stay_as_they_are(tokenizer, frames, tmp_path):
    tokens = tokenizer.encode(frames)
    counts = tokens.flatten().bincount(minlength=16)
    used = int((counts > 0).sum())
    keep_frequent_codes(tokenizer, counts, used).save_pretrained(tmp_path)
    smaller = Tokenizer.from_pretrained(tmp_path)
    assert smaller.vocab_size == used < 16
    assert "quantizers.0.sums" not in smaller.state_dict()
    assert smaller.facts.game == "Pong" and smaller.facts.metrics == {}
    assert smaller.fingerprint != tokenizer.fingerprint
    assert torch.equal(smaller.decode(smaller.encode(frames)), tokenizer.decode(tokens))
    # Token 0 is the most frequent code.
    assert int(smaller.encode(frames).flatten().bincount().argmax()) == 0


def test_a_code_that_is_left_out_becomes_the_nearest_other(tokenizer, frames):
    counts = tokenizer.encode(frames).flatten().bincount(minlength=16)
    two = keep_frequent_codes(tokenizer, counts, 2)
    kept = counts.argsort(descending=True, stable=True)[:2]
    latents = torch.randn(50, 4)
    distances = torch.cdist(latents, tokenizer.quantizers[0].codes[kept])
    assert torch.equal(two.quantizers[0](latents).tokens, distances.argmin(dim=1))


def test_what_does_not_fit_is_named(tokenizer):
    counts = torch.zeros(16, dtype=torch.int64)
    with pytest.raises(ValueError, match="size: expected a whole number from 2 to 16, got 17"):
        keep_frequent_codes(tokenizer, counts, 17)
    with pytest.raises(ValueError, match="counts: expected 16 numbers, .* got shape .3,.; count"):
        keep_frequent_codes(tokenizer, counts[:3], 4)
    other = Tokenizer(TokenizerConfig(16, 16, "patch", quantizer="fsq", fsq_levels=[4, 4]))
    with pytest.raises(ValueError, match="expected one with quantizer=vq and one level, got .*fsq"):
        keep_frequent_codes(other, counts, 4)
