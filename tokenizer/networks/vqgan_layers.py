"""Layers of a VQGAN: residual blocks, attention, half and twice the size."""

from typing import ClassVar

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 32
EPSILON = 1e-6


def make_norm(width: int, groups: int = GROUPS) -> nn.GroupNorm:
    """Makes the normalization that all layers share."""
    return nn.GroupNorm(groups, width, eps=EPSILON)


class ResidualBlock(nn.Module):
    """Two normalized 3x3 convolutions beside a shortcut, at some resolutions attention after them.

    Attributes:
        FIRST_NAMES: Names that the first version gave to its parts.
    """

    FIRST_NAMES: ClassVar[dict[str, str]] = {
        "norm_1": "layers.0", "conv_1": "layers.2", "norm_2": "layers.3", "conv_2": "layers.5",
        "shortcut": "shortcut",
    }  # fmt: skip

    def __init__(self, width: int, out: int, has_attention: bool = False):
        """Builds the layers."""
        super().__init__()
        self.norm_1 = make_norm(width)
        self.conv_1 = nn.Conv2d(width, out, 3, padding=1)
        self.norm_2 = make_norm(out)
        self.conv_2 = nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Identity() if width == out else nn.Conv2d(width, out, 1)
        self.attention = Attention(out) if has_attention else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to (n, out, rows, columns)."""
        shortcut = self.shortcut(features)
        hidden = self.conv_1(functional.silu(self.norm_1(features)))
        hidden = self.conv_2(functional.silu(self.norm_2(hidden)))
        return self.attention(shortcut + hidden)


class Attention(nn.Module):
    """One head of self-attention over all positions."""

    def __init__(self, width: int, groups: int = GROUPS):
        """Builds the projections."""
        super().__init__()
        self.norm = make_norm(width, groups)
        self.project_in = nn.Conv2d(width, 3 * width, 1)
        self.project_out = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to features of that shape."""
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
        """Maps features (n, width, rows, columns) to half the rows and columns."""
        return self.conv(functional.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest neighbours, then a 3x3 convolution."""

    def __init__(self, width: int):
        """Builds the layer."""
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features (n, width, rows, columns) to twice the rows and columns."""
        return self.conv(functional.interpolate(features, scale_factor=2.0, mode="nearest"))
