"""Dropout from random bytes, and attention with it, for CPUs.

torch draws a random number of 32 or 64 bits for every activation that dropout may drop, which took
a fifth of a training step of IRIS's architecture. A byte each is enough.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Does as `torch.nn.functional.dropout`; on CPUs the share is rounded to 1/256."""
    if not training or not share:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share)
    return x * keep_scale(x.shape, share, x.dtype)


def keep_scale(shape: torch.Size, share: float, dtype: torch.dtype) -> Tensor:
    """Returns what dropout multiplies activations by: 0 for a share, else what keeps the mean.

    The share is rounded to 1/256, and to at least that; the scale fits the rounded share.
    """
    threshold = min(255, max(1, round(256 * share)))
    numbers = torch.empty(-(-shape.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = numbers.view(torch.uint8)[: shape.numel()] >= threshold
    return kept.view(shape).to(dtype).mul_(256 / (256 - threshold))


def attend_with_dropout(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, share: float
) -> Tensor:
    """Computes scaled-dot-product attention (B, heads, S, C) with dropout of its weights.

    torch's own falls back to float32 and to two passes over masks for this; here the products run
    in the precision of `q`, and the softmax in float32.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        mask: Bool (S, keys), True = sees; None sees all.
        share: Of the weights to drop.
    """
    b, h, s, c = q.shape
    keys = k.shape[2]
    bias = torch.zeros(s, keys, dtype=q.dtype)
    if mask is not None:
        bias.masked_fill_(~mask, -torch.inf)
    scores = torch.baddbmm(
        bias.expand(b * h, s, keys), q.reshape(-1, s, c), k.reshape(-1, keys, c).mT, alpha=c**-0.5
    )
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype)
    weights = weights * keep_scale(weights.shape, share, q.dtype)
    return torch.bmm(weights, v.reshape(-1, keys, c)).view(b, h, s, c)
