"""Attention, with or without a KV cache, and feed-forward layers."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldtokens.world_model.networks.dropout import attend_with_dropout, dropout
from worldtokens.world_model.networks.kv_cache import CacheSlots, LayerCache
from worldtokens.world_model.networks.rope import RotaryEmbedding


class Attention(nn.Module):
    """Multi-head scaled-dot-product attention; positions enter by rotary embeddings."""

    def __init__(self, width: int, heads: int, dropout: float):
        """Creates the projections."""
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x_bsd: Tensor,
        rotary: RotaryEmbedding | None,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
        slots: CacheSlots | None = None,
    ) -> Tensor:
        """Attends among the positions of `x_bsd`, or to those of a cache where one is given.

        Args:
            x_bsd: Float (B, S, D).
            rotary: Of the S positions; None for none.
            mask: Bool (S, keys), True = sees; None sees all.
            cache: Where keys and values are stored and read; None attends to `x_bsd` alone.
            slots: Which of its slots are written and read.
        """
        b, s, d = x_bsd.shape
        # Plain views: a dream of single tokens spends its time in calls like these.
        qkv = self.qkv(x_bsd).view(b, s, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        qk, v = qkv[:2], qkv[2]
        q, k = (rotary(qk) if rotary is not None else qk).unbind()
        if cache is not None:
            assert slots is not None
            cache.write(slots.written, k, v)
            k, v = cache.read(slots.read)
        y = attend(q.to(k.dtype), k, v, mask, self.dropout if self.training else 0.0)
        y = self.out(y.to(x_bsd.dtype).transpose(1, 2).reshape(b, s, d))
        return dropout(y, self.dropout, self.training)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_prob: float) -> Tensor:
    """Computes scaled-dot-product attention in the precision in which the device is fastest."""
    if q.device.type == "cpu" and dropout_prob:
        return attend_with_dropout(q, k, v, mask, dropout_prob)
    if q.device.type == "cpu" and q.requires_grad:
        # torch's backward pass on CPUs is 4 to 8 times as slow in bf16 as in float32 (torch 2.15).
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), attn_mask=mask, dropout_p=dropout_prob
            )
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout_prob)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, four times as wide inside."""

    def __init__(self, width: int, dropout: float):
        """Creates the layers."""
        super().__init__()
        self.first = nn.Linear(width, 4 * width)
        self.last = nn.Linear(4 * width, width)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Maps float (..., D) to the same shape."""
        y = self.last(F.gelu(self.first(x)))
        return dropout(y, self.dropout, self.training)


def residual_outputs(module: nn.Module) -> Iterator[nn.Linear]:
    """Returns the layers of a network whose outputs are added to its residual stream."""
    for part in module.modules():
        if isinstance(part, Attention):
            yield part.out
        if isinstance(part, FeedForward):
            yield part.last
