"""Networks of patches: the encoder sees one patch at a time, the decoder sees all of them.

A token that depends on its own patch alone cannot change while its patch stays as it was, so the
world model does not see such noise (flicker is 0 by construction). The decoder restores what the
tokens leave out of a patch, from the neighbours of the patch and its position in the frame.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.networks.first_names import count_named_layers
from worldtokens.tokenizer.quantizers.base import Quantized

DECODER_FIRST_NAMES = {"decoder.position_embedding": "decoder.place"}


class PatchNetwork(Network):
    """Encodes each patch by itself; decodes with convolutions over the whole grid."""

    chunk = 8

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds encoder and decoder."""
        super().__init__()
        self.patch_size = config.patch_size
        height, frame_width = config.padded_shape
        grid = (height // config.patch_size, frame_width // config.patch_size)
        self.grids = (grid,)
        width = config.encoder_width
        self.encoder = nn.Sequential()
        self.encoder.add_module("embed", nn.Linear(3 * config.patch_size**2, width))
        for number in range(config.encoder_depth):
            self.encoder.add_module(f"block_{number}", PatchBlock(width))
        self.encoder.add_module("norm", nn.LayerNorm(width))
        self.encoder.add_module("to_latents", nn.Linear(width, latent_dim))
        self.decoder = PatchDecoder(config, grid, code_dim)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder.head

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        return self.encoder(to_patches(pixels, self.patch_size))

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        return self.decoder(vectors[0])

    def first_names(self) -> dict[str, str]:
        """See Network.first_names."""
        return {**count_named_layers("encoder", self.encoder), **DECODER_FIRST_NAMES}


class DictionaryNetwork(Network):
    """For a dictionary of patches: these are the latents, and the decoder corrects them."""

    chunk = 128
    is_exact = True

    def __init__(self, config: TokenizerConfig):
        """Builds the decoder; at first it leaves the dictionary's patches as they are."""
        super().__init__()
        self.patch_size = config.patch_size
        height, frame_width = config.padded_shape
        grid = (height // config.patch_size, frame_width // config.patch_size)
        self.grids = (grid,)
        self.decoder = PatchDecoder(config, grid, 3 * config.patch_size**2)
        nn.init.zeros_(self.decoder.head.weight)
        assert self.decoder.head.bias is not None
        nn.init.zeros_(self.decoder.head.bias)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder.head

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        return to_patches(pixels, self.patch_size)

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        patches = from_patches(vectors[0], self.grids[0], self.patch_size)
        return patches + self.decoder(vectors[0])

    def first_names(self) -> dict[str, str]:
        """See Network.first_names."""
        return DECODER_FIRST_NAMES


def to_patches(pixels: Tensor, size: int) -> Tensor:
    """Maps pixels (n, 3, height, width) to patches (n, rows x columns, size x size x 3)."""
    count, _, height, width = pixels.shape
    rows, columns = height // size, width // size
    patches = pixels.permute(0, 2, 3, 1).reshape(count, rows, size, columns, size, 3)
    return patches.transpose(2, 3).reshape(count, rows * columns, 3 * size**2)


def from_patches(patches: Tensor, grid: tuple[int, int], size: int) -> Tensor:
    """Inverts `to_patches`."""
    rows, columns = grid
    split = patches.reshape(-1, rows, columns, size, size, 3).transpose(2, 3)
    return split.reshape(-1, rows * size, columns * size, 3).permute(0, 3, 1, 2)


class PatchBlock(nn.Module):
    """A residual two-layer perceptron on each patch by itself."""

    def __init__(self, width: int):
        """Builds the layers."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (..., width) to features of that shape."""
        return features + self.narrow(functional.relu(self.wide(self.norm(features))))


class PatchDecoder(nn.Module):
    """Works at the resolution of the tokens and at twice that; the rest is a rearrangement."""

    def __init__(self, config: TokenizerConfig, grid: tuple[int, int], code_dim: int):
        """Builds the layers."""
        super().__init__()
        self.grid = grid
        width, fine_width = config.decoder_width, max(1, config.decoder_width // 2)
        self.embed = nn.Linear(code_dim, width)
        # A background depends on the position in the frame.
        self.position_embedding = nn.Parameter(0.02 * _normal(width, *grid))
        self.coarse = nn.Sequential(*(ConvBlock(width) for _ in range(config.decoder_depth)))
        self.split = nn.Conv2d(width, 4 * fine_width, 1)
        self.fine = nn.Sequential(
            *(ConvBlock(fine_width) for _ in range(config.decoder_fine_depth))
        )
        self.upscale = config.patch_size // 2
        self.head = nn.Conv2d(fine_width, 3 * self.upscale**2, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Decodes code vectors (n, rows x columns, D) to pixels (n, 3, height, width)."""
        features = self.embed(vectors).unflatten(1, self.grid).permute(0, 3, 1, 2)
        features = self.coarse(features + self.position_embedding)
        features = self.fine(functional.pixel_shuffle(self.split(features), 2))
        return functional.pixel_shuffle(self.head(features), self.upscale)


class ConvBlock(nn.Module):
    """A residual 3x3 convolution and a 1x1 convolution."""

    def __init__(self, width: int):
        """Builds the layers; the last starts at zero, so that the block starts as the identity."""
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.spatial = nn.Conv2d(width, width, 3, padding=1)
        self.pointwise = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.pointwise.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
        return features + self.pointwise(functional.relu(self.spatial(self.norm(features))))


def _normal(*shape: int) -> Tensor:
    return nn.init.normal_(torch.empty(shape))
