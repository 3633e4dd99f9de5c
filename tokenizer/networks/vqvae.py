"""The networks of VQ-VAE and VQ-VAE-2.

VQ-VAE: van den Oord et al. 2017, arXiv 1711.00937, section 4.1. VQ-VAE-2: Razavi et al. 2019, arXiv
1906.00446, section 3.1 and appendix A.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.networks.first_names import count_named_layers
from worldtokens.tokenizer.quantizers.base import Quantized


class VQVAENetwork(Network):
    """Two convolutions of stride 2 and residual blocks; the decoder mirrors them."""

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds encoder and decoder."""
        super().__init__()
        height, frame_width = config.padded_shape
        self.grids = ((height // 4, frame_width // 4),)
        width, depth = config.encoder_width, config.encoder_depth
        self.encoder = _bottom_encoder(width, depth)
        self.encoder.add_module("to_latents", nn.Conv2d(width, latent_dim, 1))
        self.decoder = _bottom_decoder(code_dim, width, depth)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder[-1]

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        return _to_sequence(self.encoder(pixels))

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        return self.decoder(_to_map(vectors[0], self.grids[0]))

    def first_names(self) -> dict[str, str]:
        """See Network.first_names."""
        encoder = count_named_layers("encoder", self.encoder)
        return encoder | count_named_layers("decoder", self.decoder)


class VQVAE2Network(Network):
    """A top level of an eighth and a bottom level of a quarter of the frame's size.

    The bottom codes are chosen knowing the top ones, and the decoder sees both.
    """

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds both encoders, the conditioning and the decoder."""
        super().__init__()
        height, frame_width = config.padded_shape
        self.grids = ((height // 8, frame_width // 8), (height // 4, frame_width // 4))
        width, depth = config.encoder_width, config.encoder_depth
        self.bottom_encoder = _bottom_encoder(width, depth)
        self.top_encoder = nn.Sequential()
        self.top_encoder.add_module("downsample", nn.Conv2d(width, width, 4, 2, padding=1))
        _add_blocks(self.top_encoder, width, depth)
        self.to_top = nn.Conv2d(width, latent_dim, 1)
        self.top_decoder = nn.Sequential()
        self.top_decoder.add_module("conv_in", nn.Conv2d(code_dim, width, 3, padding=1))
        _add_blocks(self.top_decoder, width, depth)
        upsample = nn.ConvTranspose2d(width, code_dim, 4, stride=2, padding=1)
        self.top_decoder.add_module("upsample", upsample)
        self.to_bottom = nn.Conv2d(width + code_dim, latent_dim, 1)
        self.upsample_top = nn.ConvTranspose2d(code_dim, code_dim, 4, stride=2, padding=1)
        self.decoder = _bottom_decoder(2 * code_dim, width, depth)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder[-1]

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents; the bottom features are computed for each level anew."""
        bottom = self.bottom_encoder(pixels)
        if not above:
            return _to_sequence(self.to_top(self.top_encoder(bottom)))
        top = self.top_decoder(_to_map(above[0].vectors, self.grids[0]))
        return _to_sequence(self.to_bottom(torch.cat([bottom, top], dim=1)))

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        top = self.upsample_top(_to_map(vectors[0], self.grids[0]))
        bottom = _to_map(vectors[1], self.grids[1]).to(top)
        return self.decoder(torch.cat([top, bottom], dim=1))

    def first_names(self) -> dict[str, str]:
        """See Network.first_names."""
        names = {}
        for name in ("bottom_encoder", "top_encoder", "top_decoder", "decoder"):
            layers = self.get_submodule(name)
            assert isinstance(layers, nn.Sequential)
            names |= count_named_layers(name, layers)
        return names


class ResidualBlock(nn.Module):
    """A 3x3 and a 1x1 convolution, each after a ReLU."""

    def __init__(self, width: int):
        """Builds the layers; the width between them is a quarter, as in VQ-VAE-2."""
        super().__init__()
        hidden = max(1, width // 4)
        self.spatial = nn.Conv2d(width, hidden, 3, padding=1)
        self.pointwise = nn.Conv2d(hidden, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
        hidden = self.spatial(functional.relu(features))
        return features + self.pointwise(functional.relu(hidden))


def _bottom_encoder(width: int, depth: int) -> nn.Sequential:
    """Maps pixels to features (n, width, height / 4, width / 4)."""
    half = max(1, width // 2)
    layers = nn.Sequential()
    layers.add_module("downsample_1", nn.Conv2d(3, half, 4, stride=2, padding=1))
    layers.add_module("relu_1", nn.ReLU())
    layers.add_module("downsample_2", nn.Conv2d(half, width, 4, stride=2, padding=1))
    layers.add_module("relu_2", nn.ReLU())
    layers.add_module("conv", nn.Conv2d(width, width, 3, padding=1))
    _add_blocks(layers, width, depth)
    return layers


def _bottom_decoder(channels: int, width: int, depth: int) -> nn.Sequential:
    """Maps features (n, channels, rows, columns) to pixels (n, 3, 4 rows, 4 columns)."""
    half = max(1, width // 2)
    layers = nn.Sequential()
    layers.add_module("conv_in", nn.Conv2d(channels, width, 3, padding=1))
    _add_blocks(layers, width, depth)
    layers.add_module("upsample_1", nn.ConvTranspose2d(width, half, 4, stride=2, padding=1))
    layers.add_module("relu_1", nn.ReLU())
    layers.add_module("upsample_2", nn.ConvTranspose2d(half, 3, 4, stride=2, padding=1))
    return layers


def _add_blocks(layers: nn.Sequential, width: int, depth: int) -> None:
    for number in range(depth):
        layers.add_module(f"block_{number}", ResidualBlock(width))
    layers.add_module("relu_blocks", nn.ReLU())


def _to_sequence(features: Tensor) -> Tensor:
    return rearrange(features, "n c rows columns -> n (rows columns) c")


def _to_map(vectors: Tensor, grid: tuple[int, int]) -> Tensor:
    return rearrange(vectors, "n (rows columns) c -> n c rows columns", rows=grid[0])
