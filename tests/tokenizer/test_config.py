import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose

# Tokens of a 64x64 frame, vocabulary, width of the decoder.


PRESETS = {
    "fast": (64, 8192, 64),
    "patch_fsq": (64, 512, 256),
    "iris": (16, 512, 256),
    "iris64": (64, 512, 256),
    "vqgan": (64, 8192, 32),
    "vqgan256": (16, 1024, 256),
    "vqvae": (256, 512, 256),
    "vqvae2": (64 + 256, 512, 256),
}


def preset(name):
    return compose(TrainConfig, "tokenizer", ["env=FakeGame", f"tokenizer_preset={name}"]).model


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    torch.manual_seed(0)
    tokenizer = Tokenizer(preset(name)).eval()
    tokens_per_frame, vocab_size, decoder_width = PRESETS[name]
    assert (tokenizer.tokens_per_frame, tokenizer.vocab_size) == (tokens_per_frame, vocab_size)
    # The convolutional networks have no use for it; runs of earlier versions store this value.
    assert tokenizer.config.decoder_width == decoder_width
    assert tokenizer.grid[0] * tokenizer.grid[1] == tokenizer.tokens_per_frame
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    tokens = tokenizer.encode(frames)
    assert tokenizer.decode(tokens).shape == frames.shape
    assert torch.equal(tokenizer.encode(frames[1]), tokens[1])


def test_iris_has_as_many_parameters_as_iris():
    # Its published network without LPIPS has 4,027,523 (counted in its own code).
    tokenizer = Tokenizer(preset("iris"))
    assert sum(parameter.numel() for parameter in tokenizer.parameters()) == 4_027_523


def test_defaults_of_the_dataclass_are_the_fast_preset():
    config = compose(TrainConfig, "tokenizer", ["env=FakeGame"])
    assert config.model == TokenizerConfig()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_height": 0}, "frame_height: expected a whole number of at least 1, got 0"),
        ({"frame_width": 9000}, "frame_width: expected at most 8192, got 9000"),
        ({"patch_size": 6, "frame_height": 12, "frame_width": 12}, "patch_size: expected a mult"),
        ({"encoder_width": 0}, "encoder_width: expected a whole number of at least 1, got 0"),
        ({"decoder_depth": -1}, "decoder_depth: expected a whole number of at least 0, got -1"),
        ({"residual_depth": 0}, "residual_depth: expected a whole number of at least 1, got 0"),
        ({"fsq_levels": [8, 1]}, r"fsq_levels: expected whole numbers of at least 2"),
        ({"fsq_levels": []}, r"fsq_levels: expected whole numbers of at least 2"),
        ({"quantizer": "vq3"}, "quantizer: expected one of"),
        ({"quantizer": "lfq", "codebook_size": 1000}, "expected a power of 2 for lfq, got 1000"),
        ({"quantizer": "dictionary"}, "expected 'dictionary' with network=dictionary and only wi"),
        (
            {"network": "dictionary", "quantizer": "dictionary", "residual_depth": 2},
            "residual_depth: expected 1 with a dictionary, got 2",
        ),
        ({"codebook_decay": 1.0}, r"codebook_decay: expected a number in \(0, 1\), got 1.0"),
        ({"codebook_update": "magic"}, "codebook_update: expected one of"),
        ({"network": "vqgan", "encoder_width": 48}, "encoder_width: expected a multiple of 32"),
        ({"network": "vqgan", "channel_multipliers": [1, 0]}, "channel_multipliers: expected"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**{"network": "patch", "quantizer": "fsq", **changes})
