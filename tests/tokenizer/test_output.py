import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.pixels import scale_frames


def test_losses_are_sums_over_levels_and_tokens_follow_each_other():
    torch.manual_seed(0)
    config = TokenizerConfig(
        16, 16, "vqvae2", quantizer="vq", encoder_width=8, codebook_size=8, code_dim=4,
        codebook_update="gradient",
    )  # fmt: skip
    tokenizer = Tokenizer(config).eval()
    frames = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    output = tokenizer(frames)
    pixels = scale_frames(frames)
    top, bottom = tokenizer.network.quantize(pixels, list(tokenizer.quantizers))
    assert torch.equal(output.target, pixels)
    assert torch.equal(output.tokens, torch.cat([top.tokens, bottom.tokens], dim=1))
    assert torch.equal(output.commitment, top.commitment + bottom.commitment)
    assert torch.equal(output.codebook, top.codebook + bottom.codebook)
    assert float(output.entropy) == 0.0
    decoded = tokenizer.network.decode([top.vectors, bottom.vectors])
    assert torch.equal(output.reconstruction, decoded)
