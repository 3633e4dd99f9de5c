"""A VQGAN's residual convolutions for small frames, fast enough to train on a CPU.

After Esser et al. 2021 (arXiv 2012.09841): residual blocks at each resolution, attention at the
resolution of the tokens. Three things differ.

- The frame is rearranged to a quarter of its size before the first convolution and after the last
  one (space to depth), so no convolution runs on full-size frames.
- The encoder may be confined to the patch of each token, so that a token changes only with its own
  patch, which spares the world model a noise that it cannot predict. The decoder sees all tokens.
- A linear path runs beside the convolutions. It starts as a rotation of each patch in the encoder,
  and as its inverse in the decoder; the convolutions start at 0. So codes that start as centers of
  the latents are centers of patches, and the first reconstructions are these: training improves on
  them, where from random weights it takes hours to come so far.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.config import STEM, TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.networks.vqgan_layers import Attention
from worldtokens.tokenizer.quantizers.base import Quantized
from worldtokens.tokenizer.quantizers.clustering import first_of_each

# Patches that one pass of an encoder of patches takes on a CPU.
PATCH_CHUNK = 256


class ResNetNetwork(Network):
    """Residual blocks at each resolution; halved in the encoder, doubled in the decoder."""

    chunk = 64

    def __init__(self, config: TokenizerConfig, latent_dim: int, code_dim: int):
        """Builds encoder and decoder."""
        super().__init__()
        height, width = config.padded_shape
        self.grids = ((height // config.factor, width // config.factor),)
        self.patch_size = config.factor
        self.sees_frame = config.encoder_scope == "frame"
        self.encoder = Encoder(config, latent_dim)
        self.decoder = Decoder(config, self.grids[0], code_dim)
        if latent_dim == code_dim:
            # The transpose of a rotation is its inverse.
            self.decoder.linear.weight.data.copy_(self.encoder.linear.weight.data)

    @property
    def last_layer(self) -> nn.Module:
        """See Network.last_layer."""
        return self.decoder.conv_out

    def first_names(self) -> dict[str, str]:
        """See Network.first_names; none was renamed."""
        return {}

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """See Network.latents."""
        if self.sees_frame:
            return rearrange(self.encoder(pixels), "n c rows columns -> n (rows columns) c")
        rows, columns = self.grids[0]
        patches = rearrange(
            pixels,
            "n c (rows down) (columns right) -> (n rows columns) c down right",
            rows=rows,
            columns=columns,
        )
        on_cpu = pixels.device.type == "cpu" and not torch.compiler.is_compiling()
        latents = self._encode_distinct(patches) if on_cpu else self.encoder(patches)
        return latents.view(pixels.shape[0], rows * columns, -1)

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """See Network.decode."""
        rows, _ = self.grids[0]
        features = rearrange(vectors[0], "n (rows columns) c -> n c rows columns", rows=rows)
        return self.decoder(features.contiguous(memory_format=torch.channels_last))

    def _encode_distinct(self, patches: Tensor) -> Tensor:
        """Encodes each distinct patch (n, 3, size, size) once; of 32 frames one in five is.

        Chunks are of one size, since kernels may round differently for others.
        """
        # The frames' 256 levels.
        levels = (patches.detach() * 127.5 - 0.5).round().to(torch.int8).flatten(1)
        distinct, which = first_of_each(levels)
        distinct = functional.pad(distinct, (0, -len(distinct) % PATCH_CHUNK))
        latents = [self.encoder(patches[chunk]) for chunk in distinct.split(PATCH_CHUNK)]
        return torch.cat(latents).flatten(1)[which]


class Encoder(nn.Module):
    """Pixels (n, 3, height, width) to latents (n, latent_dim, rows, columns)."""

    def __init__(self, config: TokenizerConfig, latent_dim: int):
        """Builds the levels, the finest first."""
        super().__init__()
        widths = [config.encoder_width * factor for factor in config.channel_multipliers]
        sees_frame = config.encoder_scope == "frame"
        size = config.factor
        self.linear = nn.Conv2d(3, latent_dim, size, stride=size, bias=False)
        nn.init.orthogonal_(self.linear.weight)
        self.conv_in = nn.Conv2d(3 * STEM**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            is_last = level == len(widths) - 1
            # A single position has no neighbours to convolve with.
            kernel = 1 if is_last and not sees_frame else 3
            blocks: list[nn.Module] = [
                ResidualBlock(width, kernel) for _ in range(config.encoder_depth)
            ]
            if is_last and sees_frame:
                blocks.append(Attention(width, groups=1))
            if not is_last:
                blocks.append(nn.Conv2d(width, widths[level + 1], 2, stride=2))
            self.down.append(nn.Sequential(*blocks))
        self.conv_out = _zero(nn.Conv2d(widths[-1], latent_dim, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        stem = functional.pixel_unshuffle(pixels, STEM)
        features = self.conv_in(stem.contiguous(memory_format=torch.channels_last))
        for level in self.down:
            features = level(features)
        return self.linear(pixels) + self.conv_out(functional.silu(features))


class Decoder(nn.Module):
    """Code vectors (n, code_dim, rows, columns) to pixels (n, 3, height, width).

    Most of its weights draw each token by itself, since most of a patch follows from its own code;
    a narrow part looks at the neighbours, and by attention at all tokens.
    """

    def __init__(self, config: TokenizerConfig, grid: tuple[int, int], code_dim: int):
        """Builds both parts, the coarsest level first."""
        super().__init__()
        multipliers = config.channel_multipliers[::-1]
        own = [config.encoder_width * factor for factor in multipliers]
        shared = [config.decoder_width * factor for factor in multipliers]
        size = config.factor
        self.linear = nn.ConvTranspose2d(code_dim, 3, size, stride=size, bias=False)
        nn.init.orthogonal_(self.linear.weight)
        self.own = Upward(code_dim, own, config.encoder_depth, kernel=1)
        self.shared = Upward(code_dim, shared, config.decoder_depth, kernel=3)
        self.attention = Attention(shared[0], groups=1)
        # A background depends on the position in the frame.
        self.position_embedding = nn.Parameter(0.02 * torch.randn(shared[0], *grid))
        self.conv_out = _zero(nn.Conv2d(own[-1] + shared[-1], 3 * STEM**2, 3, padding=1))

    def forward(self, vectors: Tensor) -> Tensor:
        """See the class."""
        own = self.own.levels(self.own.conv_in(vectors))
        shared = self.attention(self.shared.conv_in(vectors) + self.position_embedding)
        features = torch.cat([own, self.shared.levels(shared)], dim=1)
        details = functional.pixel_shuffle(self.conv_out(functional.silu(features)), STEM)
        return self.linear(vectors) + details


class Upward(nn.Module):
    """Residual blocks at each resolution, doubled in between."""

    def __init__(self, channels: int, widths: Sequence[int], depth: int, kernel: int):
        """Builds the levels, the coarsest first."""
        super().__init__()
        self.conv_in = nn.Conv2d(channels, widths[0], kernel, padding=kernel // 2)
        self.levels = nn.Sequential()
        for level, width in enumerate(widths):
            for _ in range(depth):
                self.levels.append(ResidualBlock(width, kernel))
            if level < len(widths) - 1:
                self.levels.append(nn.Conv2d(width, 4 * widths[level + 1], 1))
                self.levels.append(nn.PixelShuffle(2))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int, kernel: int = 3):
        """Builds the layers; the block starts as the identity."""
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv_1 = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.conv_2 = _zero(nn.Conv2d(width, width, kernel, padding=kernel // 2))

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
        hidden = functional.silu(self.conv_1(self.norm(features)))
        return features + self.conv_2(hidden)


class ChannelNorm(nn.LayerNorm):
    """Normalizes the channels of each position by itself, so that it depends on no other."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Returns the layer after its weights were set to 0."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
