import dataclasses

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.networks.resnet import ChannelNorm, ResNetNetwork

CONFIG = TokenizerConfig(
    frame_height=21, frame_width=18, network="resnet", quantizer="vq", encoder_width=32,
    encoder_depth=1, channel_multipliers=[1, 2], decoder_width=8, decoder_depth=1,
    codebook_size=64, code_dim=192,
)  # fmt: skip


def frames_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 21, 18, 3), dtype=np.uint8)


def trained(config):
    """A tokenizer none of whose weights is 0, as after some steps."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(config)
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return tokenizer.eval()


def test_it_starts_as_a_dictionary_of_its_centers():
    torch.manual_seed(0)
    tokenizer = Tokenizer(CONFIG)
    tokenizer.uses_autocast = False
    frames = frames_of(5)
    # 45 patches and 64 codes: every patch is a center.
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    assert np.array_equal(tokenizer.decode(tokenizer.encode(frames)).numpy(), frames)


def test_fewer_channels_start_as_a_projection():
    config = dataclasses.replace(CONFIG, code_dim=24)
    network = Tokenizer(config).network
    assert isinstance(network, ResNetNetwork)
    weight = network.encoder.linear.weight.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(24), atol=1e-5, rtol=0)
    assert torch.equal(network.decoder.linear.weight, network.encoder.linear.weight)


def changed_tokens(tokenizer):
    """Positions whose token differs after only the patch in the middle was changed."""
    frames = frames_of(4)
    after = frames.copy()
    after[:, 8:16, 8:16] = 255 - after[:, 8:16, 8:16]
    tokenizer.start(np.concatenate([frames, after]), torch.Generator().manual_seed(0))
    tokens, changed = tokenizer.encode(frames), tokenizer.encode(after)
    return (tokens != changed).any(0).nonzero().flatten().tolist()


def test_a_token_depends_on_its_own_patch_alone():
    assert changed_tokens(trained(dataclasses.replace(CONFIG, codebook_size=256))) == [4]


def test_an_encoder_of_frames_sees_the_neighbours():
    config = dataclasses.replace(CONFIG, codebook_size=256, encoder_scope="frame")
    assert len(changed_tokens(trained(config))) > 1


def test_equal_patches_are_encoded_once_with_the_gradient_of_all():
    network = trained(CONFIG).network
    assert isinstance(network, ResNetNetwork)
    patches = torch.randint(0, 256, (3, 3, 8, 8)) / 127.5 - 1
    many = patches[[0, 1, 0, 2, 1, 0]]
    weights = torch.randn(6, 192)
    results = []
    for encode in (network._encode_distinct, lambda x: network.encoder(x).flatten(1)):
        network.zero_grad()
        latents = encode(many)
        (latents * weights).sum().backward()
        gradient = network.encoder.conv_in.weight.grad
        assert gradient is not None
        results.append((latents.detach(), gradient.clone()))
    for first, second in zip(*results, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_the_decoder_sees_all_tokens():
    tokenizer = trained(CONFIG)
    tokens = torch.zeros(1, 9, dtype=torch.int64)
    other = tokens.clone()
    other[0, 8] = 1
    vectors = [tokenizer.embed(t) for t in (tokens, other)]
    first, second = (tokenizer.network.decode([v]) for v in vectors)
    assert not torch.allclose(first[..., :8, :8], second[..., :8, :8])


def test_positions_are_normalized_by_themselves():
    features = torch.tensor([[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]]).view(1, 3, 1, 2)
    normalized = ChannelNorm(3)(features)
    root = 1.5**0.5
    expected = torch.tensor([[-root, root], [root, -root], [0.0, 0.0]]).view(1, 3, 1, 2)
    torch.testing.assert_close(normalized, expected, atol=1e-4, rtol=0)


def test_the_grid_follows_the_levels():
    config = dataclasses.replace(CONFIG, channel_multipliers=[1, 1, 2])
    assert config.factor == 16
    assert Tokenizer(config).grid == (2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_scope": "row"}, "encoder_scope: expected one of .'patch', 'frame'., got 'row'"),
        ({"codebook_dead_share": 2.0}, "codebook_dead_share: expected"),
        ({"channel_multipliers": []}, "channel_multipliers: expected 1 to 10 whole numbers"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
