"""The result of a tokenizer's differentiable pass."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class TokenizerOutput:
    """All that a training step needs of one forward pass.

    Attributes:
        target: float32 (n, 3, height, width) in [-1, 1], the frames.
        reconstruction: (n, 3, height, width), about [-1, 1].
        tokens: int64 (n, K).
        codebook: float32 scalar, the sum of the quantizers' codebook losses.
        commitment: float32 scalar, the sum of the quantizers' commitment losses.
        entropy: float32 scalar, the sum of the quantizers' entropy losses.
    """

    target: Tensor
    reconstruction: Tensor
    tokens: Tensor
    codebook: Tensor
    commitment: Tensor
    entropy: Tensor
