"""Which tokens of a batch the loss looks at, and how much each counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from worldtokens.world_model.data.segments import TokenSegments

# The number of predicted tokens is a multiple of this: on CPUs torch (2.15) prepares each size of a
# matrix product anew and keeps what it prepared, which took 16 MB more memory a step.
MASK_MULTIPLE = 128


@dataclass(frozen=True)
class TokenSample:
    """Which tokens of a batch the loss looks at; all bool or float32 (B, L - 1, K).

    Attributes:
        predict_mask: Tokens of frames 1 to L - 1 whose logits are needed.
        weights: How many tokens each of them stands for.
        hard: Tokens that change or are foreground: all of them are predicted.
    """

    predict_mask: Tensor
    weights: Tensor
    hard: Tensor


def sample_tokens(
    segments: TokenSegments,
    unchanged_sample_prob: float | None,
    context: Tensor | None = None,
    foreground_weight: float = 1.0,
) -> TokenSample:
    """Chooses every token that changes and a random share of those that stay as they were.

    Nine of ten tokens stay, and that is soon learned; looking at a share of them, each weighted
    by its inverse, leaves the expected loss as it is and spares most of the output layer's work.
    A stay gate needs no output layer for those at all: none of them is predicted.

    Args:
        segments: The batch.
        unchanged_sample_prob: Share of the tokens that stay, in (0, 1]; None for models with a
            stay gate.
        context: The frames to predict from, int64 (B, L, K), where these are not the true ones: a
            token that was wrong there changes when it becomes right.
        foreground_weight: How much more than others foreground tokens count, moving or not. The
            weights are scaled so that their mean stays 1.
    """
    true = segments.tokens[:, 1:]
    before = (segments.tokens if context is None else context)[:, :-1]
    real = segments.mask[:, 1:, None]
    changed = hard = true != before
    weights = torch.ones(true.shape, device=true.device)
    if foreground_weight != 1.0:
        foreground = foreground_tokens(segments)
        hard = hard | foreground
        weights = torch.where(foreground, foreground_weight, 1.0)
        mean = torch.where(real, weights, 0.0).sum() / (real.sum() * true.shape[-1]).clamp(min=1)
        weights = weights / mean
    if unchanged_sample_prob is None:
        # The logits give a token that stayed the same probability as the gate: its loss is its own.
        return TokenSample(round_up(real & changed, real & ~changed), weights, hard)
    drawn = torch.rand(true.shape, device=true.device) < unchanged_sample_prob
    weights = torch.where(hard, weights, weights / unchanged_sample_prob)
    chosen = real & (hard | drawn)
    rounded = round_up(chosen, real & ~chosen)
    return TokenSample(rounded, torch.where(rounded & ~chosen, 0.0, weights), hard)


def round_up(chosen: Tensor, others: Tensor) -> Tensor:
    """Adds some of the others to a mask, so that it holds a multiple of `MASK_MULTIPLE`.

    Nothing is added to fewer than that; where there are not enough others, all of them are added.
    """
    count = int(chosen.sum())
    missing = -count % MASK_MULTIPLE if count > MASK_MULTIPLE else 0
    more = others.flatten().nonzero()[:missing, 0]
    return chosen.flatten().index_fill(0, more, True).view_as(chosen)


def foreground_tokens(segments: TokenSegments) -> Tensor:
    """Marks tokens of frames 1 to L - 1 unlike their position's commonest: bool (B, L - 1, K).

    That is the player, what moves and what blinks; a token is background where at least half of
    the segment's real frames show it there.
    """
    tokens, real = segments.tokens, segments.mask
    same = (tokens[:, 1:, None] == tokens[:, None]) & real[:, None, :, None]
    return same.sum(dim=2) * 2 < real.sum(dim=1)[:, None, None]
