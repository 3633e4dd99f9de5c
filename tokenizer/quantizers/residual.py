"""Residual quantization (Lee et al. 2022, arXiv 2203.01941, section 3.1)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer
from worldtokens.tokenizer.quantizers.clustering import first_rows


class Residual(Quantizer):
    """Several quantizers in a row, each of what those before it left over."""

    def __init__(self, make: Callable[[], Quantizer], depth: int):
        """Makes the stages.

        Args:
            make: Makes one stage.
            depth: Number of stages, the tokens per latent.
        """
        super().__init__()
        self.stages = nn.ModuleList(make() for _ in range(depth))
        first = self._stages()[0]
        self.vocab_size = first.vocab_size
        self.latent_dim, self.code_dim = first.latent_dim, first.code_dim
        self.depth = depth

    def forward(self, latents: Tensor) -> Quantized:
        """See Quantizer.forward; the losses are means over the stages."""
        left, found = latents, []
        for stage in self._stages():
            found.append(stage(left))
            left = left - found[-1].vectors.detach()
        total = torch.stack([quantized.vectors for quantized in found]).sum(0).detach()
        return Quantized(
            vectors=latents + (total - latents).detach(),
            tokens=torch.stack([quantized.tokens for quantized in found], dim=-1),
            codebook=torch.stack([quantized.codebook for quantized in found]).mean(),
            commitment=torch.stack([quantized.commitment for quantized in found]).mean(),
            entropy=torch.stack([quantized.entropy for quantized in found]).mean(),
        )

    def lookup(self, tokens: Tensor) -> Tensor:
        """The code vectors (..., depth, D) of tokens (..., depth)."""
        return torch.stack(
            [stage.lookup(tokens[..., index]) for index, stage in enumerate(self._stages())], dim=-2
        )

    def start(self, latents: Iterable[Tensor], generator: torch.Generator) -> None:
        """Starts each stage from what those before it left over."""
        left = first_rows(latents)
        was_training = self.training
        self.eval()
        for stage in self._stages():
            stage.start(left, generator)
            left = [chunk - stage(chunk).vectors for chunk in left]
        self.train(was_training)

    def _stages(self) -> list[Quantizer]:
        return [stage for stage in self.stages if isinstance(stage, Quantizer)]
