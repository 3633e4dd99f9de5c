import torch
from torch import nn

from worldtokens.tokenizer.networks.vqgan_layers import (
    Attention,
    Downsample,
    ResidualBlock,
    Upsample,
)


def zero(layer):
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def test_a_block_adds_to_its_input():
    features = torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    block = ResidualBlock(32, 32, has_attention=True)
    zero(block.conv_2)
    zero(block.attention.project_out)
    assert torch.equal(block(features), features)
    nn.init.ones_(block.conv_2.bias)
    assert torch.equal(block(features), features + 1)
    assert ResidualBlock(32, 64)(features).shape == (2, 64, 4, 4)


def test_attention_without_scores_is_the_mean_over_positions():
    features = torch.randn(1, 32, 2, 3, generator=torch.Generator().manual_seed(0))
    attention = Attention(32)
    zero(attention.project_in)
    zero(attention.project_out)
    # Value and output projections are the identity; queries and keys are 0.
    attention.project_in.weight.data[64:, :, 0, 0] = torch.eye(32)
    attention.project_out.weight.data[:, :, 0, 0] = torch.eye(32)
    mean = attention.norm(features).mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(attention(features), features + mean)


def test_half_and_twice_the_size():
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    down, up = Downsample(1), Upsample(1)
    for layer in (down, up):
        zero(layer)
    down.conv.weight.data[0, 0, 2, 2] = 1.0
    # The window's last pixel: rows and columns 2 and 4, and 4 is padding.
    assert down(features)[0, 0].tolist() == [[10.0, 0.0], [0.0, 0.0]]
    up.conv.weight.data[0, 0, 1, 1] = 1.0
    assert torch.equal(
        up(features)[0, 0], features[0, 0].repeat_interleave(2, 0).repeat_interleave(2, 1)
    )
