"""The interface that every network keeps."""

from collections.abc import Sequence

from torch import Tensor, nn

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer


class Network(nn.Module):
    """An encoder and a decoder around one quantizer, or around one per level.

    Height and width of its pixels are those of TokenizerConfig.padded_shape.

    Attributes:
        grids: (rows, columns) of the positions of each level.
        chunk: Frames that one pass of the encoder takes on a CPU.
        is_exact: Whether the latents, and what the quantizer makes of them, are the same for every
            size of a batch.
    """

    grids: tuple[tuple[int, int], ...]
    chunk: int = 1
    is_exact: bool = False

    @property
    def last_layer(self) -> nn.Module:
        """The decoder's last layer, at which the adaptive weight of a VQGAN is measured."""
        raise NotImplementedError

    def first_names(self) -> dict[str, str]:
        """Returns the first names of renamed layers, see worldtokens.hub.part_names."""
        raise NotImplementedError

    def latents(self, pixels: Tensor, above: Sequence[Quantized]) -> Tensor:
        """Computes the latents of the next level.

        Args:
            pixels: float (n, 3, height, width) in [-1, 1].
            above: The quantized levels before it; empty for the first.

        Returns:
            float (n, rows x columns, C).
        """
        raise NotImplementedError

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """Turns code vectors (n, rows x columns, D) of each level into pixels.

        Returns:
            (n, 3, height, width).
        """
        raise NotImplementedError

    def quantize(self, pixels: Tensor, quantizers: Sequence[Quantizer]) -> list[Quantized]:
        """Encodes and quantizes level by level."""
        levels: list[Quantized] = []
        for quantizer in quantizers:
            levels.append(quantizer.in_float32(self.latents(pixels, levels)))
        return levels
