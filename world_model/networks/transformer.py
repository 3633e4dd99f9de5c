"""The transformer over [frame tokens | action] blocks, whole sequences or block by block."""

from collections.abc import Iterable, Iterator
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.dropout import attend_with_dropout, dropout
from worldtokens.world_model.networks.kv_cache import (
    Memory,
    Ring,
    Slots,
    block_mask,
    block_slots,
    causal_mask,
    ring_mask,
    ring_mask_of_places,
)
from worldtokens.world_model.networks.rope import Rotation, place_coordinates, rotation


class Attention(nn.Module):
    """Multi-head scaled-dot-product attention; positions are turned in by a `Rotation`."""

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
        turn: Rotation | None,
        mask: Tensor | None = None,
        ring: Ring | None = None,
        slots: Slots | None = None,
    ) -> Tensor:
        """Attends among the positions of `x_bsd`, or to a ring's where one is given.

        Args:
            x_bsd: Float (B, S, D).
            turn: Rotation of the S positions; None leaves them unturned.
            mask: Bool (S, keys), True = sees; None sees all.
            ring: Where keys and values are stored and read; None attends to `x_bsd` alone.
            slots: Which of its slots are written and read.
        """
        b, s, d = x_bsd.shape
        # Plain views: a dream of single tokens spends its time in calls like these.
        qkv = self.qkv(x_bsd).view(b, s, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        qk, v = qkv[:2], qkv[2]
        q, k = (turn(qk) if turn is not None else qk).unbind()
        if ring is not None:
            assert slots is not None
            ring.write(slots.written, k, v)
            k, v = ring.read(slots.read)
        y = attend(q.to(k.dtype), k, v, mask, self.dropout if self.training else 0.0)
        y = self.out(y.to(x_bsd.dtype).transpose(1, 2).reshape(b, s, d))
        return dropout(y, self.dropout, self.training)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropped: float) -> Tensor:
    """Scaled-dot-product attention, in the precision in which the device is fastest."""
    if q.device.type == "cpu" and dropped:
        return attend_with_dropout(q, k, v, mask, dropped)
    if q.device.type == "cpu" and q.requires_grad:
        # torch's backward pass on CPUs is 4 to 8 times as slow in bf16 as in float32 (torch 2.15).
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), attn_mask=mask, dropout_p=dropped
            )
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)


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


class PreNormBlock(nn.Module):
    """The layers of a block with one attention and a feed-forward layer, each behind a norm."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers."""
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = FeedForward(config.width, config.dropout)


class FullBlock(PreNormBlock):
    """Attention to every position of the window, then a feed-forward layer."""

    def forward(self, x_btpd: Tensor, view: "View") -> Tensor:
        """Passes whole blocks, float (B, T, P, D)."""
        t = x_btpd.shape[1]
        x = rearrange(x_btpd, "b t p d -> b (t p) d")
        x = x + self.attention(self.norm_attention(x), view.turn, view.mask)
        x = x + self.mlp(self.norm_mlp(x))
        return rearrange(x, "b (t p) d -> b t p d", t=t)

    def step(self, x_bnd: Tensor, view: "View", ring: Ring, slots: Slots) -> Tensor:
        """Passes the next n positions of the current block, float (B, n, D)."""
        y = self.attention(self.norm_attention(x_bnd), view.turn, view.mask, ring, slots)
        x_bnd = x_bnd + y
        return x_bnd + self.mlp(self.norm_mlp(x_bnd))


class FactorisedBlock(nn.Module):
    """Attention within the frame, then to the same place of earlier frames, then feed-forward."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers."""
        super().__init__()
        self.norm_space = nn.LayerNorm(config.width)
        self.space = Attention(config.width, config.heads, config.dropout)
        self.norm_time = nn.LayerNorm(config.width)
        self.time = Attention(config.width, config.heads, config.dropout)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = FeedForward(config.width, config.dropout)

    def forward(self, x_btpd: Tensor, view: "View") -> Tensor:
        """Passes whole blocks, float (B, T, P, D)."""
        b, t, p, _ = x_btpd.shape
        x = rearrange(x_btpd, "b t p d -> (b t) p d")
        x = x + self.space(self.norm_space(x), view.turn_space)
        x = rearrange(x, "(b t) p d -> (b p) t d", b=b)
        x = x + self.time(self.norm_time(x), view.turn, view.mask)
        x = x + self.mlp(self.norm_mlp(x))
        return rearrange(x, "(b p) t d -> b t p d", b=b, p=p)

    def step(self, x_bnd: Tensor, view: "View", ring: Ring, slots: Slots) -> Tensor:
        """Passes the current block, float (B, P, D)."""
        b, p, d = x_bnd.shape
        x = x_bnd + self.space(self.norm_space(x_bnd), view.turn_space)
        x = x.view(b * p, 1, d)
        y = self.time(self.norm_time(x), view.turn, view.mask, ring, slots)
        x = (x + y).view(b, p, d)
        return x + self.mlp(self.norm_mlp(x))


class View:
    """What all layers of one pass share: rotations and the mask."""

    def __init__(self, turn: Rotation | None, turn_space: Rotation | None, mask: Tensor | None):
        """Keeps them."""
        self.turn = turn
        self.turn_space = turn_space
        self.mask = mask


class Transformer(nn.Module):
    """Blocks over embedded positions; the same weights serve whole sequences and single steps."""

    def __init__(self, config: WorldModelConfig):
        """Creates the blocks and, where the config asks, the table of absolute positions."""
        super().__init__()
        self.config = config
        self.factorised = config.attention == "factorised"
        self.causal = config.prediction == "autoregressive"
        block = FactorisedBlock if self.factorised else FullBlock
        self.blocks = nn.ModuleList(block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.absolute = (
            nn.Embedding(config.context * config.places, config.width)
            if config.positions == "absolute"
            else None
        )
        rows, columns = (side // config.merge for side in config.grid)
        self.coordinates = place_coordinates(rows, columns)
        self.head_channels = config.width // config.heads
        self._space: Rotation | None = None

    def forward(self, x_btpd: Tensor) -> Tensor:
        """Passes whole blocks.

        Args:
            x_btpd: Embedded blocks, float (B, T, P, D). The last positions of the last block may
                be there or not mean anything: nothing before them sees them when autoregressive.

        Returns:
            Float (B, T, P, D), normalised.
        """
        t, device = x_btpd.shape[1], x_btpd.device
        frames = torch.arange(t)
        if self.factorised:
            long = t > self.config.context
            mask = causal_mask(t, 1, self.config.context, device) if long or t > 1 else None
            view = View(self._turn_time(frames, device), self._turn_space(device), mask)
        else:
            make_mask = causal_mask if self.causal else block_mask
            mask = make_mask(t, self.config.places, self.config.context, device)
            view = View(self._turn_full(frames, device), None, mask)
        if self.absolute is not None:
            table = rearrange(self.absolute.weight, "(t p) d -> t p d", p=self.config.places)
            x_btpd = x_btpd + table[:t]
        for block in self.blocks:
            x_btpd = block(x_btpd, view)
        return self.norm(x_btpd)

    def new_memory(self, batch: int) -> Memory:
        """An empty memory for `batch` dreams, in the precision in which it is attended to."""
        config = self.config
        rows = batch * config.places if self.factorised else batch
        slots = config.context if self.factorised else config.context * config.places
        like = self.norm.weight
        if like.device.type == "cpu" and (self.factorised or self.causal):
            # Single queries: on CPUs torch attends 3 to 10 times as slowly in bf16 (torch 2.15).
            like = like.float()
        rings = [
            Ring(rows, config.heads, slots, self.head_channels, like) for _ in range(config.layers)
        ]
        return Memory(rings=rings, context=config.context, places=config.places)

    def step(self, x_bnd: Tensor, memory: Memory) -> Tensor:
        """Passes the next n positions of the current block, float (B, n, D), and remembers them.

        Without causal order inside a frame, n must be the whole block.
        """
        n, device = x_bnd.shape[1], x_bnd.device
        assert self.causal or n == self.config.places
        here = slice(memory.place, memory.place + n)
        frame = torch.tensor([memory.frames])
        static = memory.compiled is not None
        if self.factorised:
            slots = Slots(memory.slot, memory.used)
            mask = ring_mask_of_places(memory, static)
            view = View(self._turn_time(frame, device), self._turn_space(device), mask)
        else:
            slots = block_slots(memory, n)
            turn = self._turn_full(frame, device)
            mask = ring_mask(memory, n, self.causal, slots.read, device, static)
            view = View(None if turn is None else turn[here], None, mask)
        if self.absolute is not None:
            first = memory.slot * self.config.places
            x_bnd = x_bnd + self.absolute.weight[first + here.start : first + here.stop]
        if memory.compiled is not None:
            slots = slots.static(n if not self.factorised else 1, memory.rings[0].size, device)
            x_bnd = memory.compiled(x_bnd, view, memory.rings, slots)
        else:
            x_bnd = self.run_blocks(x_bnd, view, memory.rings, slots)
        memory.advance(n)
        return x_bnd

    def run_blocks(self, x_bnd: Tensor, view: View, rings: list[Ring], slots: Slots) -> Tensor:
        """All blocks and the last norm; what `torch.compile` compiles."""
        blocks = cast(Iterable[FullBlock | FactorisedBlock], self.blocks)
        for block, ring in zip(blocks, rings, strict=True):
            x_bnd = block.step(x_bnd, view, ring, slots)
        return self.norm(x_bnd)

    def _turn_space(self, device: torch.device) -> Rotation | None:
        if self.absolute is not None:
            return None
        if self._space is None or self._space.cos.device != device:
            self._space = rotation(self.coordinates, self.head_channels, device)
        return self._space

    def _turn_time(self, frames: Tensor, device: torch.device) -> Rotation | None:
        if self.absolute is not None:
            return None
        return rotation(frames[:, None], self.head_channels, device)

    def _turn_full(self, frames: Tensor, device: torch.device) -> Rotation | None:
        if self.absolute is not None:
            return None
        places = len(self.coordinates)
        time = frames.repeat_interleave(places)[:, None]
        place = self.coordinates.repeat(len(frames), 1)
        return rotation(torch.cat((time, place), dim=1), self.head_channels, device)


def residual_outputs(module: nn.Module) -> Iterator[nn.Linear]:
    """The layers of a network whose outputs are added to its residual stream."""
    for part in module.modules():
        if isinstance(part, Attention):
            yield part.out
        if isinstance(part, FeedForward):
            yield part.last
