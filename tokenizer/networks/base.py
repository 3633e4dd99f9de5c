"""The interface that every network keeps."""

from torch import Tensor, nn


class Network(nn.Module):
    """An encoder and a decoder around a quantizer.

    Attributes:
        grid: (rows, columns) of the tokens of a frame.
        chunk: Frames that one pass of the encoder takes on a CPU.
    """

    grid: tuple[int, int]
    chunk: int

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels float (n, 3, height, width) in [-1, 1] to latents (n, rows x columns, C)."""
        raise NotImplementedError

    def decode(self, vectors: Tensor) -> Tensor:
        """Code vectors (n, rows x columns, D) to pixels (n, 3, height, width), about [-1, 1]."""
        raise NotImplementedError
