"""Finite scalar quantization (Mentzer et al. 2023, arXiv 2309.15505)."""

import math

import torch
from torch import Tensor

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer


class FSQ(Quantizer):
    """Rounds each latent dimension to one of a few levels; the codes are the grid of all levels.

    No codebook is learned, so none can collapse. The token is the mixed-radix number of the
    levels, the first dimension running fastest, as in the paper.
    """

    basis: Tensor
    levels: Tensor

    def __init__(self, levels: list[int]):
        """Makes the grid.

        Args:
            levels: Number of levels of each dimension, each at least 2.
        """
        super().__init__()
        self.vocab_size = math.prod(levels)
        self.latent_dim = self.code_dim = len(levels)
        basis = [math.prod(levels[:index]) for index in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    def forward(self, latents: Tensor) -> Quantized:
        """Rounds latents (..., C); the gradient passes straight through the rounding."""
        bounded = self._bound(latents)
        rounded = bounded + (bounded.round() - bounded).detach()
        digits = rounded.detach().round().long() + self.levels // 2
        zero = latents.new_zeros(())
        return Quantized(
            vectors=rounded / (self.levels // 2),
            tokens=(digits * self.basis).sum(-1),
            codebook=zero,
            commitment=zero,
            entropy=zero,
        )

    def lookup(self, tokens: Tensor) -> Tensor:
        """Looks up the grid points, each coordinate in [-1, 1], of tokens (...)."""
        digits = tokens[..., None] // self.basis % self.levels
        return (digits - self.levels // 2) / (self.levels // 2)

    def _bound(self, latents: Tensor) -> Tensor:
        """Squashes each dimension into the range that rounds to exactly its levels.

        An even number of levels has no middle level: the range is shifted by half a level, and the
        tanh by the same, so that a latent of 0 stays at 0.
        """
        half_range = (self.levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        shift = torch.atanh(offset / half_range)
        return torch.tanh(latents + shift) * half_range - offset
