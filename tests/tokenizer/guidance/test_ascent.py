import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.guidance.ascent import (
    AscentConfig,
    ascend,
    codes_by_position,
    decode,
    nearest_codes,
)
from worldtokens.tokenizer.pixels import scale_frames

SIZES = dict(frame_height=16, frame_width=16, encoder_width=32, encoder_depth=1, decoder_width=8)
VQGAN = TokenizerConfig(
    **SIZES, network="resnet", quantizer="vq", channel_multipliers=[1, 2], decoder_depth=1,
    codebook_size=16, code_dim=192,
)  # fmt: skip
DICTIONARY = TokenizerConfig(**SIZES, codebook_size=16, decoder_depth=1, decoder_fine_depth=1)


def started(config):
    """A tokenizer whose 16 codes are the patches of 4 random frames, and these frames."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(config).eval()
    tokenizer.uses_autocast = False
    frames = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    return tokenizer, frames


@pytest.mark.parametrize("config", [VQGAN, DICTIONARY])
def test_the_ascent_finds_the_tokens_of_the_best_frame(config):
    tokenizer, frames = started(config)
    wanted = scale_frames(frames[1:2])

    def scorer(pixels):
        return -(pixels - wanted).square().sum(dim=(1, 2, 3))

    start = tokenizer.encode(frames[[0, 2]])
    settings = AscentConfig(steps=60, learning_rate=0.1, noise=0.0)
    ascent = ascend(tokenizer, start, scorer, settings, torch.Generator())
    assert ascent.tokens.shape == (61, 2, 4) and ascent.scores.shape == (60, 2)
    assert torch.equal(ascent.tokens[0], start)
    assert torch.equal(ascent.best, tokenizer.encode(frames[[1, 1]]))
    first = -(scale_frames(frames[[0, 2]]) - wanted).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(ascent.scores[0], first, rtol=1e-3, atol=1e-3)


def test_only_allowed_codes_are_taken():
    tokenizer, frames = started(VQGAN)
    allowed = codes_by_position(tokenizer, frames[[0, 2, 3]].numpy())
    assert allowed.sum(1).tolist() == [3, 3, 3, 3]
    wanted = scale_frames(frames[1:2])
    ascent = ascend(
        tokenizer, tokenizer.encode(frames[:1]),
        lambda pixels: -(pixels - wanted).square().sum(dim=(1, 2, 3)),
        AscentConfig(steps=40, learning_rate=0.1, noise=0.0), torch.Generator(), allowed,
    )  # fmt: skip
    later = ascent.tokens[1:].flatten(0, 1)
    assert allowed[torch.arange(4), later].all()


def test_a_pull_to_the_start_keeps_the_frame():
    tokenizer, frames = started(VQGAN)
    wanted = scale_frames(frames[1:2])
    settings = AscentConfig(steps=30, learning_rate=0.1, noise=0.0, stay=1e5)
    start = tokenizer.encode(frames[:1])
    ascent = ascend(
        tokenizer, start, lambda pixels: -(pixels - wanted).square().sum(dim=(1, 2, 3)), settings,
        torch.Generator(),
    )  # fmt: skip
    assert torch.equal(ascent.tokens[-1], start)


def test_decoding_keeps_the_gradient_of_pixels_beyond_the_range():
    tokenizer, frames = started(VQGAN)
    vectors = (3 * tokenizer.embed(tokenizer.encode(frames[:1]))).requires_grad_()
    pixels = decode(tokenizer, vectors)
    assert float(pixels.detach().max()) == 1.0 and float(pixels.detach().min()) == -1.0
    pixels[pixels == 1.0].sum().backward()
    assert vectors.grad is not None and float(vectors.grad.abs().sum()) > 0


def test_nearest_codes_by_hand():
    codes = torch.tensor([[0.0], [10.0], [4.0]])
    vectors = torch.tensor([[[6.0], [6.0]]])
    assert nearest_codes(vectors, codes, None).tolist() == [[2, 2]]
    allowed = torch.tensor([[True, True, False], [True, False, False]])
    assert nearest_codes(vectors, codes, allowed).tolist() == [[1, 0]]


def test_several_levels_are_refused():
    config = TokenizerConfig(
        frame_height=16, frame_width=16, network="vqvae2", quantizer="vq", encoder_width=8,
        encoder_depth=1, codebook_size=8, code_dim=4,
    )  # fmt: skip
    tokenizer = Tokenizer(config)
    tokens = torch.zeros(1, tokenizer.tokens_per_frame, dtype=torch.int64)
    with pytest.raises(ValueError, match="tokenizer: expected one token at each position of one l"):
        ascend(tokenizer, tokens, lambda x: x.sum(), AscentConfig(), torch.Generator())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "ascent.steps: expected a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "ascent.learning_rate: expected"),
        ({"noise": -1.0}, "ascent.noise: expected at least 0, got -1.0"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        AscentConfig(**changes)
