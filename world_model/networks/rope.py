"""Rotary position embeddings over time, rows and columns (RoPE, arXiv:2104.09864, section 3.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Distances are at most some tens of frames or positions, so the longest wavelength may be short.
LONGEST_WAVELENGTH = 100.0


@dataclass
class RotaryEmbedding:
    """Cosines and sines of positions, float32 (S, head channels / 2) each.

    Not frozen: torch 2.11 cannot compile a pass that makes a frozen dataclass.
    """

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Rotates queries or keys (..., S, head channels) by the angles of their positions."""
        first, second = x.chunk(2, dim=-1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)

    def __getitem__(self, positions: slice) -> "RotaryEmbedding":
        """Returns the embedding of some of the positions."""
        return RotaryEmbedding(self.cos[positions], self.sin[positions])


def rotary_embedding(
    coordinates: Tensor, head_channels: int, device: torch.device
) -> RotaryEmbedding:
    """Computes the rotary embedding of positions with one or more coordinates.

    Args:
        coordinates: (S, axes); the pairs of channels are shared out evenly among the axes.
        head_channels: Channels of a head.
        device: Where the embedding is used.
    """
    pairs = head_channels // 2
    axis_of_pair = torch.arange(pairs) % coordinates.shape[1]
    rank = torch.div(torch.arange(pairs), coordinates.shape[1], rounding_mode="floor")
    frequency = LONGEST_WAVELENGTH ** -(rank * coordinates.shape[1] / pairs).double()
    # In double precision, so that frame 100,000 of a dream is as exact as its first.
    angles = coordinates.double().cpu()[:, axis_of_pair] * frequency
    return RotaryEmbedding(angles.cos().float().to(device), angles.sin().float().to(device))


def block_coordinates(rows: int, columns: int) -> Tensor:
    """Returns row and column, (rows * columns + 1, 2), of a frame's positions and its action.

    The action stands outside of the frame, at (-1, -1).
    """
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    frame = torch.stack((row.flatten(), column.flatten()), dim=-1)
    return torch.cat((frame, torch.tensor([[-1, -1]])))
