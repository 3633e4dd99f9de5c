"""Residual quantization (Lee et al. 2022, arXiv 2203.01941, section 3.1)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer
from worldtokens.tokenizer.quantizers.clustering import first_rows


class Residual(Quantizer):
    """Several quantizers in a row, each of the residual of those before it."""

    def __init__(self, make: Callable[[], Quantizer], depth: int):
        """Makes the stages.

        Args:
            make: A function that makes one stage.
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
        residual, levels = latents, []
        for stage in self._stages():
            levels.append(stage(residual))
            residual = residual - levels[-1].vectors.detach()
        total = torch.stack([quantized.vectors for quantized in levels]).sum(0).detach()
        return Quantized(
            vectors=latents + (total - latents).detach(),
            tokens=torch.stack([quantized.tokens for quantized in levels], dim=-1),
            codebook=torch.stack([quantized.codebook for quantized in levels]).mean(),
            commitment=torch.stack([quantized.commitment for quantized in levels]).mean(),
            entropy=torch.stack([quantized.entropy for quantized in levels]).mean(),
        )

    def lookup(self, tokens: Tensor) -> Tensor:
        """Looks up the code vectors (..., depth, D) of tokens (..., depth)."""
        return torch.stack(
            [stage.lookup(tokens[..., index]) for index, stage in enumerate(self._stages())], dim=-2
        )

    def start(
        self,
        latents: Iterable[Tensor],
        generator: torch.Generator,
        weights: Iterable[Tensor] | None = None,
    ) -> None:
        """Starts each stage from the residuals of those before it."""
        residuals = first_rows(latents)
        was_training = self.training
        self.eval()
        for stage in self._stages():
            stage.start(residuals, generator)
            residuals = [chunk - stage(chunk).vectors for chunk in residuals]
        self.train(was_training)

    def _stages(self) -> list[Quantizer]:
        return [stage for stage in self.stages if isinstance(stage, Quantizer)]
