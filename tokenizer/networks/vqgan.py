"""The VQGAN's convolutional network (Esser et al. 2021, arXiv 2012.09841, table 7).

With base width 64, multipliers 1, 1, 1, 1, 1 and attention at 16 and 8 it is IRIS's (Micheli et al.
2023, arXiv 2209.00588, appendix A.1). Layers bear the names of taming-transformers, but `up.0` is
the coarsest level, the one that the decoder runs first.
"""

from collections.abc import Iterator, Sequence

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.networks.first_names import count_layers
from worldtokens.tokenizer.networks.vqgan_layers import (
    Attention,
    Downsample,
    ResidualBlock,
    Upsample,
    make_norm,
)
from worldtokens.tokenizer.quantizers.base import Quantized


class VQGANNetwork(Network):
    """Residual blocks at each resolution, attention at some, halved and doubled in between."""

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds encoder and decoder."""
        super().__init__()
        height, width = config.padded_shape
        self.grids = ((height // config.factor, width // config.factor),)
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(config.latent_channels, latent_dim, 1)
        self.post_quant_conv = nn.Conv2d(code_dim, config.latent_channels, 1)
        self.decoder = Decoder(config)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder.conv_out

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        features = self.quant_conv(self.encoder(pixels))
        return rearrange(features, "n c rows columns -> n (rows columns) c")

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        rows, _ = self.grids[0]
        features = rearrange(vectors[0], "n (rows columns) c -> n c rows columns", rows=rows)
        return self.decoder(self.post_quant_conv(features))

    def first_names(self) -> dict[str, str]:
        """See Network.first_names."""
        encoder = [*_old_layers("encoder", self.encoder), "quant_conv"]
        decoder = ["post_quant_conv", *_old_layers("decoder", self.decoder)]
        names = {}
        counted = count_layers("encoder", encoder) | count_layers("decoder", decoder)
        for name, first_name in counted.items():
            layer = self.get_submodule(name)
            parts = ResidualBlock.FIRST_NAMES if isinstance(layer, ResidualBlock) else {}
            names |= {f"{name}.{part}": f"{first_name}.{first}" for part, first in parts.items()}
            names |= {} if parts else {name: first_name}
        return names


class Encoder(nn.Module):
    """Pixels (n, 3, height, width) to features (n, latent_channels, rows, columns)."""

    def __init__(self, config: TokenizerConfig):
        """Builds the levels, the finest first."""
        super().__init__()
        width, height = config.encoder_width, config.padded_shape[0]
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList()
        levels = len(config.channel_multipliers)
        for level, factor in enumerate(config.channel_multipliers):
            out = config.encoder_width * factor if config.encoder_depth else width
            has_attention = height >> level in config.attention_resolutions
            blocks = _make_blocks(width, out, config.encoder_depth, has_attention)
            self.down.append(DownLevel(blocks, out, is_last=level == levels - 1))
            width = out
        self.mid = Middle(width)
        self.norm_out = make_norm(width)
        self.conv_out = nn.Conv2d(width, config.latent_channels, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        features = self.conv_in(pixels)
        for level in self.down:
            features = level(features)
        return self.conv_out(functional.silu(self.norm_out(self.mid(features))))


class Decoder(nn.Module):
    """Features (n, latent_channels, rows, columns) to pixels (n, 3, height, width)."""

    def __init__(self, config: TokenizerConfig):
        """Builds the levels, the coarsest first."""
        super().__init__()
        width = config.encoder_width * config.channel_multipliers[-1]
        height = config.padded_shape[0]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        self.mid = Middle(width)
        self.up = nn.ModuleList()
        for level, factor in reversed(list(enumerate(config.channel_multipliers))):
            out = config.encoder_width * factor
            has_attention = height >> level in config.attention_resolutions
            # One block more than in the encoder, as in the original.
            blocks = _make_blocks(width, out, config.encoder_depth + 1, has_attention)
            self.up.append(UpLevel(blocks, out, is_last=level == 0))
            width = out
        self.norm_out = make_norm(width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        features = self.mid(self.conv_in(features))
        for level in self.up:
            features = level(features)
        return self.conv_out(functional.silu(self.norm_out(features)))


class DownLevel(nn.Module):
    """The blocks of one resolution, then half the size."""

    def __init__(self, blocks: nn.Sequential, width: int, is_last: bool):
        """Adds the downsampling to `blocks`, which make features of `width` channels."""
        super().__init__()
        self.blocks = blocks
        self.downsample = nn.Identity() if is_last else Downsample(width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, C, rows, columns) to (n, width, rows / 2, columns / 2)."""
        return self.downsample(self.blocks(features))


class UpLevel(nn.Module):
    """The blocks of one resolution, then twice the size."""

    def __init__(self, blocks: nn.Sequential, width: int, is_last: bool):
        """Adds the upsampling to `blocks`, which make features of `width` channels."""
        super().__init__()
        self.blocks = blocks
        self.upsample = nn.Identity() if is_last else Upsample(width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, C, rows, columns) to (n, width, 2 rows, 2 columns)."""
        return self.upsample(self.blocks(features))


class Middle(nn.Module):
    """Two blocks and attention at the resolution of the tokens."""

    def __init__(self, width: int):
        """Builds the layers."""
        super().__init__()
        self.block_1 = ResidualBlock(width, width)
        self.attention = Attention(width)
        self.block_2 = ResidualBlock(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
        return self.block_2(self.attention(self.block_1(features)))


def _make_blocks(width: int, out: int, depth: int, has_attention: bool) -> nn.Sequential:
    widths = [width, *[out] * depth]
    return nn.Sequential(*(ResidualBlock(before, out, has_attention) for before in widths[:-1]))


def _old_layers(prefix: str, module: nn.Module) -> Iterator[str | None]:
    """Names of the layers that stood in one nn.Sequential; None for its activation."""
    for name, layer in module.named_modules():
        is_outer = name in ("conv_in", "norm_out", "conv_out")
        if is_outer or isinstance(layer, ResidualBlock | Attention | Downsample | Upsample):
            yield f"{prefix}.{name}"
        if name == "norm_out":
            yield None
