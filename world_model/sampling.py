"""Drawing from predicted logits: temperature, top-k, top-p, and reproducible random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator] | None


@dataclass(frozen=True)
class Sampling:
    """How a class is drawn from its logits.

    Attributes:
        temperature: Divides the logits; above 0.
        top_k: Only the k likeliest classes can be drawn; 1 is greedy and draws no random number.
        top_p: Only the likeliest classes that together hold this probability can be drawn
            (nucleus sampling, arXiv:1904.09751).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not self.temperature > 0:
            raise ValueError(
                f"temperature: expected a number above 0, got {self.temperature}; "
                "top_k=1 draws the likeliest"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1 or None, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a share in (0, 1] or None, got {self.top_p}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest class is taken."""
        return self.top_k == 1


def draw(logits: Tensor, sampling: Sampling, generator: Generators = None) -> Tensor:
    """Draws one class per row of logits.

    Args:
        logits: Float (B, ..., classes).
        sampling: Temperature and truncation.
        generator: One for the batch, or one per row of it, so that a row's draws do not depend on
            the rows beside it; None uses torch's global generator.

    Returns:
        int64 (B, ...).
    """
    if sampling.greedy:
        return logits.argmax(dim=-1)
    logits = truncate(logits.float() / sampling.temperature, sampling)
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    total = cumulative[..., -1:]
    level = uniform(logits.shape[:-1], generator, logits.device)[..., None] * total
    # Rounding may lift the level to the total, beyond which there is no class.
    level = torch.minimum(level, torch.nextafter(total, torch.zeros_like(total)))
    return (cumulative <= level).sum(dim=-1)


def truncate(logits: Tensor, sampling: Sampling) -> Tensor:
    """Sets the logits of classes outside of top-k and top-p to -inf."""
    classes = logits.shape[-1]
    if sampling.top_k is not None and sampling.top_k < classes:
        smallest = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        probability = ordered.softmax(dim=-1)
        # A class stays while those before it hold less than top_p: the first always stays.
        drop = probability.cumsum(dim=-1) - probability >= sampling.top_p
        logits = logits.masked_fill(drop.scatter(-1, order, drop), -torch.inf)
    return logits


def uniform(shape: Sequence[int], generator: Generators, device: torch.device) -> Tensor:
    """Uniform float32 in [0, 1), shape (B, ...), from one generator or from one per row.

    The numbers are drawn on the generator's own device, so a CPU generator gives the same dream
    on any device.
    """
    if generator is None:
        return torch.rand(tuple(shape), device=device)
    if isinstance(generator, torch.Generator):
        return torch.rand(tuple(shape), generator=generator, device=generator.device).to(device)
    rows = [torch.rand(tuple(shape[1:]), generator=one, device=one.device) for one in generator]
    return torch.stack(rows).to(device)


def seeded_generators(seed: int, count: int) -> list[torch.Generator]:
    """One CPU generator per dream, each a function of (seed, index)."""
    return [torch.Generator().manual_seed(seed * 1_000_003 + index) for index in range(count)]
