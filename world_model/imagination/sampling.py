"""Drawing from predicted logits: temperature, top-k, top-p, and reproducible random numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldtokens.common.checks import is_number, is_whole_number

CHUNK = 64

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
        if not is_number(self.temperature) or not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature: expected a number above 0, got {self.temperature!r}; "
                "top_k=1 draws the likeliest"
            )
        # A whole number of any size, as Python has them, is none for torch.
        object.__setattr__(self, "temperature", float(self.temperature))
        if self.top_k is not None and not (is_whole_number(self.top_k) and self.top_k >= 1):
            raise ValueError(f"top_k: expected at least 1 or None, got {self.top_k!r}")
        if self.top_p is not None and not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise ValueError(f"top_p: expected a share in (0, 1] or None, got {self.top_p!r}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest class is taken."""
        return self.top_k == 1

    @property
    def unchanged(self) -> bool:
        """Whether classes are drawn as the model holds them likely, or the likeliest is taken."""
        whole = self.top_k is None and (self.top_p is None or self.top_p == 1)
        return self.greedy or (whole and self.temperature == 1.0)


@dataclass
class SamplingConfig:
    """The keys of a command that say how it draws.

    Attributes:
        temperature: Divides the logits.
        top_k: Draw among the k likeliest; 1 is greedy.
        top_p: Draw among the likeliest that hold this probability.
    """

    temperature: float
    top_k: int | None
    top_p: float | None

    @property
    def sampling(self) -> Sampling:
        """These keys as a Sampling.

        Raises:
            ValueError: A number is out of range.
        """
        return Sampling(self.temperature, self.top_k, self.top_p)


def check_generator(generator: object, batch: int) -> None:
    """Checks where random numbers come from.

    Args:
        generator: A generator, one for each of `batch` rows, or None.
        batch: Rows.

    Raises:
        ValueError: It is something else, or of another number.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return
    rows = generator if isinstance(generator, list | tuple) else []
    if len(rows) != batch or not all(isinstance(row, torch.Generator) for row in rows):
        got = f"{len(rows)}" if rows else f"{type(generator).__name__} {generator!r:.80}"
        raise ValueError(
            f"generator: expected a torch.Generator, {batch} of them or None, got {got}"
        )


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
    return draw_with_noise(
        logits, sampling, uniform_noise(logits.shape[:-1], sampling, generator, logits.device)
    )


def uniform_noise(
    shape: Sequence[int], sampling: Sampling, generator: Generators, device: torch.device
) -> Tensor | None:
    """Returns the noise that `draw_with_noise` needs for classes (B, ...); None if greedy."""
    return None if sampling.greedy else uniform(shape, generator, device)


def draw_with_noise(logits: Tensor, sampling: Sampling, noise: Tensor | None) -> Tensor:
    """Draws as `draw` does, with uniform noise that was drawn before, float32 (B, ...), [0, 1)."""
    if noise is None:
        return logits.argmax(dim=-1)
    logits = temper(logits.float(), sampling)
    weights = (logits - logits.amax(dim=-1, keepdim=True)).exp_()
    return _draw_weighted(weights, noise)


def entropy(logits: Tensor) -> Tensor:
    """Returns the entropy in nats of logits (..., classes), float32 (...)."""
    shifted = logits.float() - logits.amax(dim=-1, keepdim=True)
    weights = shifted.exp()
    total = weights.sum(dim=-1)
    return total.log() - weights.mul_(shifted).sum(dim=-1) / total


def log_probability(logits: Tensor, drawn: Tensor) -> Tensor:
    """Returns the log-probability of classes (...) under logits (..., classes)."""
    return logits.gather(-1, drawn[..., None])[..., 0] - logits.logsumexp(dim=-1)


def _draw_weighted(weights: Tensor, noise: Tensor) -> Tensor:
    """Returns the class where the cumulative weight passes `noise` of the total, int64 (...).

    Many classes are summed up in chunks, of which only the chunk that was hit is looked into.

    Args:
        weights: float32 (..., classes), at least 0, one of them above.
        noise: float32 (...).
    """
    classes = weights.shape[-1]
    if classes % CHUNK or classes < 4 * CHUNK:
        return _first_above(weights.cumsum(dim=-1), noise, scale=True)[0]
    chunks = weights.unflatten(-1, (-1, CHUNK))
    sums = chunks.sum(dim=-1)
    cumulative = sums.cumsum(dim=-1)
    chunk, noise = _first_above(cumulative, noise, scale=True)
    hit = chunk[..., None]
    before = (cumulative - sums).gather(-1, hit)[..., 0]
    inside = chunks.gather(-2, hit[..., None].expand(*hit.shape, CHUNK))[..., 0, :]
    position, _ = _first_above(inside.cumsum(dim=-1), (noise - before).clamp(min=0.0), scale=False)
    return chunk * CHUNK + position


def _first_above(cumulative: Tensor, noise: Tensor, scale: bool) -> tuple[Tensor, Tensor]:
    """Returns the first class (...) with a cumulative weight above a threshold, and the threshold.

    The threshold is `noise`, or with `scale` that share of the total weight.
    """
    total = cumulative[..., -1]
    noise = noise * total if scale else noise
    # Rounding may lift it to the total, beyond which there is no class.
    noise = torch.minimum(noise, torch.nextafter(total, torch.zeros_like(total)))
    return (cumulative <= noise[..., None]).sum(dim=-1), noise


def temper(logits: Tensor, sampling: Sampling) -> Tensor:
    """Divides logits (..., classes) by the temperature and truncates them."""
    if sampling.temperature != 1.0:
        logits = logits / sampling.temperature
    return truncate(logits, sampling)


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
    """Returns uniform float32 in [0, 1), (B, ...), from one generator or from one per row.

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
    """Returns one CPU generator per dream, each a function of (seed, index)."""
    return [torch.Generator().manual_seed(seed * 1_000_003 + index) for index in range(count)]
