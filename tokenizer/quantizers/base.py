"""The interface that every quantizer keeps."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Quantized:
    """What a quantizer makes of latents.

    Attributes:
        vectors: float32 (..., D), the code vectors; their gradient reaches the latents.
        tokens: int64 (...), in [0, vocab_size).
        codebook: float32 scalar, the loss that moves the codes to the latents; 0 where none is.
        commitment: float32 scalar, the loss that moves the latents to the codes; 0 where none is.
        entropy: float32 scalar, the loss that spreads the use of codes; 0 where none is.
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
        latent_dim: C, what the encoder has to deliver.
        code_dim: D, what the decoder gets.
    """

    vocab_size: int
    latent_dim: int
    code_dim: int

    def forward(self, latents: Tensor) -> Quantized:
        """Quantizes float32 latents (..., C); the caller turns autocast off."""
        raise NotImplementedError

    def lookup(self, tokens: Tensor) -> Tensor:
        """The code vectors, float32 (..., D), of int64 tokens (...) in [0, vocab_size)."""
        raise NotImplementedError
