import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig


def test_bottom_codes_depend_on_top_codes():
    torch.manual_seed(0)
    config = TokenizerConfig(network="vqvae2", quantizer="vq", encoder_width=32, codebook_size=512)
    tokenizer = Tokenizer(config).eval()
    tokenizer.uses_autocast = False
    frames = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    before = tokenizer.encode(frames)
    with torch.no_grad():
        tokenizer.quantizers[0].codes.mul_(-3.0)
    after = tokenizer.encode(frames)
    assert (before[:, 64:] != after[:, 64:]).any()


def test_layers_have_names():
    config = TokenizerConfig(network="vqvae", quantizer="vq", encoder_width=8, encoder_depth=1)
    network = Tokenizer(config).network
    assert [name for name, _ in network.encoder.named_children()] == [
        "downsample_1", "relu_1", "downsample_2", "relu_2", "conv", "block_0", "relu_blocks",
        "to_latents",
    ]  # fmt: skip
    assert network.last_layer is network.decoder.upsample_2
    pixels = torch.zeros(1, 3, 64, 64)
    assert network.encoder(pixels).shape == (1, 64, 16, 16)
