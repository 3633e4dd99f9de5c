"""The interface that every quantizer keeps."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Quantized:
    """Quantized latents.

    Attributes:
        vectors: float32 (..., D), the code vectors; their gradient reaches the latents.
        tokens: int64 (...), in [0, vocab_size); (..., depth) where depth > 1.
        codebook: float32 scalar, the loss that moves codes to the latents; 0 if there is none.
        commitment: float32 scalar, the loss that moves latents to the codes; 0 if there is none.
        entropy: float32 scalar, the loss that spreads the use of codes; 0 if there is none.
    """

    vectors: Tensor
    tokens: Tensor
    codebook: Tensor
    commitment: Tensor
    entropy: Tensor


class Quantizer(nn.Module):
    """Maps latents (..., C) to tokens and code vectors (..., D), all in float32.

    Attributes:
        vocab_size: Number of codes.
        latent_dim: C, the channels of the encoder's output.
        code_dim: D, the channels of the decoder's input.
        depth: Tokens per latent.
        uses_weights: Whether `start` looks at weights of latents.
    """

    uses_weights: bool = False

    vocab_size: int
    latent_dim: int
    code_dim: int
    depth: int = 1

    def forward(self, latents: Tensor) -> Quantized:
        """Quantizes float32 latents (..., C); the caller turns autocast off."""
        raise NotImplementedError

    def in_float32(self, latents: Tensor) -> Quantized:
        """Runs `forward` on latents of any precision, with autocast on or off."""
        device = latents.device.type
        if not torch.is_autocast_enabled(device):
            return self(latents.float())
        with torch.autocast(device, enabled=False):
            return self(latents.float())

    def lookup(self, tokens: Tensor) -> Tensor:
        """Looks up the code vectors, float32 (..., D), of int64 tokens (...) in [0, vocab_size).

        Where depth > 1, tokens are (..., depth) and vectors (..., depth, D).
        """
        raise NotImplementedError

    def dequantize(self, tokens: Tensor) -> Tensor:
        """Computes the decoder's input for tokens: float32 (..., D)."""
        vectors = self.lookup(tokens)
        return vectors.sum(-2) if self.depth > 1 else vectors

    def start(
        self,
        latents: Iterable[Tensor],
        generator: torch.Generator,
        weights: Iterable[Tensor] | None = None,
    ) -> None:
        """Sets the codes from the latents of training frames, before the first step.

        A quantizer whose codes do not start from data does nothing.

        Args:
            latents: float32 chunks (n, K, C).
            generator: A CPU generator, for all random draws.
            weights: How much each latent counts, float32 chunks (n, K); None for all alike.
                Quantizers without `uses_weights` leave them aside.
        """
