import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.networks.patch import from_patches, to_patches
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose

# Tokens of a 64x64 frame, vocabulary.
PRESETS = {
    "fast": (64, 8192),
    "patch_fsq": (64, 512),
    "iris": (16, 512),
    "iris64": (64, 512),
    "vqgan": (16, 1024),
    "vqvae": (256, 512),
    "vqvae2": (64 + 256, 512),
}


def preset(name):
    config = compose(TrainConfig, "tokenizer", ["env=FakeGame", f"tokenizer_preset={name}"])
    torch.manual_seed(0)
    return Tokenizer(config.model).eval()


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    tokenizer = preset(name)
    assert (tokenizer.tokens_per_frame, tokenizer.vocab_size) == PRESETS[name]
    assert tokenizer.grid[0] * tokenizer.grid[1] == tokenizer.tokens_per_frame
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    tokens = tokenizer.encode(frames)
    assert tokenizer.decode(tokens).shape == frames.shape
    assert torch.equal(tokenizer.encode(frames[1]), tokens[1])


def test_iris_has_as_many_parameters_as_iris():
    # Its published network without LPIPS has 4,027,523 (counted in its own code).
    assert sum(parameter.numel() for parameter in preset("iris").parameters()) == 4_027_523


def test_defaults_of_the_dataclass_are_the_fast_preset():
    config = compose(TrainConfig, "tokenizer", ["env=FakeGame"])
    assert config.model == TokenizerConfig()


def test_patches_are_row_major_and_come_back():
    pixels = torch.arange(2 * 3 * 8 * 12).float().reshape(2, 3, 8, 12)
    patches = to_patches(pixels, 4)
    assert patches.shape == (2, 6, 48)
    # Patch 4 is the second of the lower row: rows 4 to 7, columns 4 to 7; channels run fastest.
    assert torch.equal(patches[1, 4, :3], pixels[1, :, 4, 4])
    assert torch.equal(patches[1, 4, 3:6], pixels[1, :, 4, 5])
    assert torch.equal(from_patches(patches, (2, 3), 4), pixels)


def test_a_dictionary_decoder_starts_as_its_patches():
    tokenizer = preset("fast")
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    tokens = torch.randint(0, 4096, (4, 64))
    codes = tokenizer.embed(tokens)
    expected = from_patches(codes, (8, 8), 8)
    made = tokenizer.network.decode([codes])
    torch.testing.assert_close(made, expected)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    assert torch.equal(tokenizer.decode(tokenizer.encode(frames)), frames)


def test_bottom_codes_depend_on_top_codes():
    tokenizer = preset("vqvae2")
    tokenizer.uses_autocast = False
    frames = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    before = tokenizer.encode(frames)
    with torch.no_grad():
        tokenizer.quantizers[0].codes.mul_(-3.0)
    after = tokenizer.encode(frames)
    assert (before[:, 64:] != after[:, 64:]).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "vqgan", "encoder_width": 48}, "encoder_width: expected a multiple of 32"),
        ({"network": "vqgan", "channel_multipliers": [1, 0]}, "channel_multipliers: expected"),
    ],
)
def test_wrong_sizes(settings, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(quantizer="vq", **settings)
