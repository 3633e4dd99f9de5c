"""The VQGAN's convolutional network (Esser et al. 2021, arXiv 2012.09841, table 7).

With base width 64, multipliers 1, 1, 1, 1, 1 and attention at 16 and 8 it is IRIS's (Micheli et al.
2023, arXiv 2209.00588, appendix A.1).
"""

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.quantizers.base import Quantized

GROUPS = 32
EPSILON = 1e-6


class VQGANNetwork(Network):
    """Residual blocks at each resolution, attention at some, halved and doubled in between."""

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds encoder and decoder."""
        super().__init__()
        height, width = config.padded_shape
        self.grids = ((height // config.factor, width // config.factor),)
        channels = config.latent_channels
        self.encoder = nn.Sequential(*_encoder_layers(config), nn.Conv2d(channels, latent_dim, 1))
        self.decoder = nn.Sequential(nn.Conv2d(code_dim, channels, 1), *_decoder_layers(config))

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        return rearrange(self.encoder(pixels), "n c rows columns -> n (rows columns) c")

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        rows, _ = self.grids[0]
        return self.decoder(
            rearrange(vectors[0], "n (rows columns) c -> n c rows columns", rows=rows)
        )


def _encoder_layers(config: TokenizerConfig) -> list[nn.Module]:
    widths = [config.encoder_width * factor for factor in config.channel_multipliers]
    layers: list[nn.Module] = [nn.Conv2d(3, config.encoder_width, 3, padding=1)]
    width, height = config.encoder_width, config.padded_shape[0]
    for level, level_width in enumerate(widths):
        if level:
            layers.append(Downsample(width))
            height //= 2
        for _ in range(config.encoder_depth):
            layers.append(ResidualBlock(width, level_width))
            width = level_width
            if height in config.attention_resolutions:
                layers.append(Attention(width))
    return [*layers, *_middle(width), *_head(width, config.latent_channels)]


def _decoder_layers(config: TokenizerConfig) -> list[nn.Module]:
    widths = [config.encoder_width * factor for factor in config.channel_multipliers]
    width = widths[-1]
    height = config.padded_shape[0] // config.factor
    layers = [nn.Conv2d(config.latent_channels, width, 3, padding=1), *_middle(width)]
    for level, level_width in reversed(list(enumerate(widths))):
        # One block more than in the encoder, as in the original.
        for _ in range(config.encoder_depth + 1):
            layers.append(ResidualBlock(width, level_width))
            width = level_width
            if height in config.attention_resolutions:
                layers.append(Attention(width))
        if level:
            layers.append(Upsample(width))
            height *= 2
    return [*layers, *_head(width, 3)]


def _middle(width: int) -> list[nn.Module]:
    return [ResidualBlock(width, width), Attention(width), ResidualBlock(width, width)]


def _head(width: int, out: int) -> list[nn.Module]:
    return [_norm(width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1)]


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, width, eps=EPSILON)


class ResidualBlock(nn.Module):
    """Two normalized 3x3 convolutions beside a shortcut."""

    def __init__(self, width: int, out: int):
        """Builds the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, out, 3, padding=1),
            _norm(out),
            nn.SiLU(),
            nn.Conv2d(out, out, 3, padding=1),
        )
        self.shortcut = nn.Identity() if width == out else nn.Conv2d(width, out, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, width, rows, columns) to (n, out, rows, columns)."""
        return self.shortcut(features) + self.layers(features)


class Attention(nn.Module):
    """One head of self-attention over all positions."""

    def __init__(self, width: int):
        """Builds the projections."""
        super().__init__()
        self.norm = _norm(width)
        self.project_in = nn.Conv2d(width, 3 * width, 1)
        self.project_out = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, width, rows, columns) to features of that shape."""
        query, key, value = rearrange(
            self.project_in(self.norm(features)),
            "n (part c) rows columns -> part n 1 (rows columns) c",
            part=3,
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        rows = features.shape[2]
        mixed = rearrange(mixed, "n 1 (rows columns) c -> n c rows columns", rows=rows)
        return features + self.project_out(mixed)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2, padded at the right and at the bottom."""

    def __init__(self, width: int):
        """Builds the layer."""
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, width, rows, columns) to half the rows and columns."""
        return self.conv(functional.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest neighbours, then a 3x3 convolution."""

    def __init__(self, width: int):
        """Builds the layer."""
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, width, rows, columns) to twice the rows and columns."""
        return self.conv(functional.interpolate(features, scale_factor=2.0, mode="nearest"))
