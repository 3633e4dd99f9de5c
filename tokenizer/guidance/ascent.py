"""Moves codes up the gradient of a score of the decoded frame.

The method of VQGAN+CLIP (Crowson et al. 2022, arXiv 2204.08583): the vectors of all tokens are
parameters; each is drawn to its nearest code before it is decoded, and the gradient passes straight
through that.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from worldtokens.common.checks import check_at_least, check_positive
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.pixels import crop_pixels


class Scorer(Protocol):
    """Scores frames; the ascent raises the score."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Scores pixels float32 (n, 3, height, width) in [-1, 1]: float32 (n,), differentiable."""
        ...


@dataclass
class AscentConfig:
    """How codes move.

    Attributes:
        steps: Steps of Adam.
        learning_rate: Its learning rate, in units of code vectors.
        noise: Standard deviation of the noise on pixels in [-1, 1] that the scorer sees, so that no
            score rests on single pixels.
        stay: Weight of the mean squared distance of the vectors from where they started.
    """

    steps: int = 200
    learning_rate: float = 0.05
    noise: float = 0.1
    stay: float = 0.0

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_at_least(1, **{"ascent.steps": self.steps})
        check_positive(**{"ascent.learning_rate": self.learning_rate})
        for name in ("noise", "stay"):
            if getattr(self, name) < 0:
                raise ValueError(f"ascent.{name}: expected at least 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Ascent:
    """The way of the codes.

    Attributes:
        tokens: int64 (steps + 1, n, K): the start, then the tokens after each step.
        scores: float32 (steps, n), of the frames before each step.
    """

    tokens: Tensor
    scores: Tensor

    @property
    def best(self) -> Tensor:
        """The tokens of each frame at its highest score, int64 (n, K)."""
        steps = self.scores.argmax(0)
        return self.tokens[steps, torch.arange(self.tokens.shape[1])]


def ascend(
    tokenizer: Tokenizer,
    tokens: Tensor,
    scorer: Scorer,
    config: AscentConfig,
    generator: torch.Generator,
    allowed: Tensor | None = None,
) -> Ascent:
    """Raises the score of the frames that tokens stand for.

    Args:
        tokenizer: With one level, and one token at each position.
        tokens: int64 (n, K), the start.
        scorer: What to raise.
        config: How.
        generator: On the CPU, for the noise.
        allowed: bool (K, vocab_size), the codes that each position may take; None for all.

    Raises:
        ValueError: The tokenizer has several levels, or several tokens at a position.
    """
    if len(tokenizer.levels) > 1 or any(depth > 1 for *_, depth in tokenizer.levels):
        raise ValueError(
            "tokenizer: expected one token at each position of one level, got levels "
            f"{tokenizer.levels}; choose another tokenizer"
        )
    tokenizer.requires_grad_(False).eval()
    everything = torch.arange(tokenizer.vocab_size, device=tokenizer.device)[:, None]
    codes = tokenizer.embed(everything.expand(-1, tokenizer.tokens_per_frame))[:, 0]
    start = codes[tokens]
    vectors = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([vectors], config.learning_rate)
    way: list[Tensor] = [tokens]
    scores: list[Tensor] = []
    for _ in range(config.steps):
        nearest = codes[way[-1]]
        # The value of the code, the gradient of the vector.
        pixels = decode(tokenizer, vectors + (nearest - vectors).detach())
        noise = torch.randn(pixels.shape, generator=generator).to(pixels)
        score = scorer(pixels + config.noise * noise)
        distance = (vectors - start).square().mean(dim=(1, 2))
        optimizer.zero_grad()
        (config.stay * distance - score).sum().backward()
        optimizer.step()
        scores.append(score.detach())
        way.append(nearest_codes(vectors.detach(), codes, allowed))
    return Ascent(torch.stack(way), torch.stack(scores))


def decode(tokenizer: Tokenizer, vectors: Tensor) -> Tensor:
    """Decodes code vectors (n, K, D) with a gradient: pixels (n, 3, height, width) in [-1, 1]."""
    height, width, _ = tokenizer.frame_shape
    pixels = crop_pixels(tokenizer.network.decode([vectors]), (height, width))
    # Clamped by value only, or pixels outside the range would stay there without a gradient.
    return pixels + (pixels.clamp(-1.0, 1.0) - pixels).detach()


def nearest_codes(vectors: Tensor, codes: Tensor, allowed: Tensor | None) -> Tensor:
    """Finds the allowed code nearest to each vector: int64 (n, K).

    Args:
        vectors: float32 (n, K, D).
        codes: float32 (vocab_size, D).
        allowed: bool (K, vocab_size), at least one at each position; None for all.
    """
    closeness = vectors @ codes.T - codes.square().sum(1) / 2
    if allowed is not None:
        closeness = closeness.masked_fill(~allowed, -torch.inf)
    return closeness.argmax(-1)


def codes_by_position(tokenizer: Tokenizer, frames: np.ndarray) -> Tensor:
    """Marks the codes that each position has in frames uint8 (n, height, width, 3).

    Returns:
        bool (K, vocab_size).
    """
    tokens = tokenizer.encode(frames)
    seen = torch.zeros(
        tokenizer.tokens_per_frame, tokenizer.vocab_size, dtype=torch.bool, device=tokens.device
    )
    positions = torch.arange(tokenizer.tokens_per_frame, device=tokens.device)
    seen[positions.expand_as(tokens), tokens] = True
    return seen
