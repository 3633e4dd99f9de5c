"""The transformer over [frame tokens | action] blocks, whole sequences or block by block."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.attention import Attention, FeedForward
from worldtokens.world_model.networks.kv_cache import (
    CacheSlots,
    KVCache,
    LayerCache,
    block_mask,
    block_slots,
    cache_mask,
    causal_mask,
    factorised_cache_mask,
)
from worldtokens.world_model.networks.rope import (
    RotaryEmbedding,
    block_coordinates,
    rotary_embedding,
)


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

    def forward(self, x_btpd: Tensor, inputs: "PassInputs") -> Tensor:
        """Passes whole blocks, float (B, T, P, D)."""
        t = x_btpd.shape[1]
        x = rearrange(x_btpd, "b t p d -> b (t p) d")
        x = x + self.attention(self.norm_attention(x), inputs.rotary, inputs.mask)
        x = x + self.mlp(self.norm_mlp(x))
        return rearrange(x, "b (t p) d -> b t p d", t=t)

    def step(
        self, x_bnd: Tensor, inputs: "PassInputs", cache: LayerCache, slots: CacheSlots
    ) -> Tensor:
        """Passes the next n positions of the current block, float (B, n, D)."""
        y = self.attention(self.norm_attention(x_bnd), inputs.rotary, inputs.mask, cache, slots)
        x_bnd = x_bnd + y
        return x_bnd + self.mlp(self.norm_mlp(x_bnd))


class FactorisedBlock(nn.Module):
    """Attention within the frame, then to the same position earlier, then feed-forward."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers."""
        super().__init__()
        self.norm_space = nn.LayerNorm(config.width)
        self.space = Attention(config.width, config.heads, config.dropout)
        self.norm_time = nn.LayerNorm(config.width)
        self.time = Attention(config.width, config.heads, config.dropout)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = FeedForward(config.width, config.dropout)

    def forward(self, x_btpd: Tensor, inputs: "PassInputs") -> Tensor:
        """Passes whole blocks, float (B, T, P, D)."""
        b, t, p, _ = x_btpd.shape
        x = rearrange(x_btpd, "b t p d -> (b t) p d")
        x = x + self.space(self.norm_space(x), inputs.rotary_space)
        x = rearrange(x, "(b t) p d -> (b p) t d", b=b)
        x = x + self.time(self.norm_time(x), inputs.rotary, inputs.mask)
        x = x + self.mlp(self.norm_mlp(x))
        return rearrange(x, "(b p) t d -> b t p d", b=b, p=p)

    def step(
        self, x_bnd: Tensor, inputs: "PassInputs", cache: LayerCache, slots: CacheSlots
    ) -> Tensor:
        """Passes the current block, float (B, P, D)."""
        b, p, d = x_bnd.shape
        x = x_bnd + self.space(self.norm_space(x_bnd), inputs.rotary_space)
        x = x.view(b * p, 1, d)
        y = self.time(self.norm_time(x), inputs.rotary, inputs.mask, cache, slots)
        x = (x + y).view(b, p, d)
        return x + self.mlp(self.norm_mlp(x))


@dataclass(frozen=True)
class PassInputs:
    """What all layers of one pass share.

    Attributes:
        rotary: Rotary embedding of the positions, of factorised models of the frames; None with
            absolute positions.
        rotary_space: Of the positions within a frame; factorised models only.
        mask: Bool, True = sees; None sees all.
    """

    rotary: RotaryEmbedding | None
    rotary_space: RotaryEmbedding | None
    mask: Tensor | None


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
            nn.Embedding(config.context * config.block_size, config.width)
            if config.positions == "absolute"
            else None
        )
        rows, columns = (side // config.merge for side in config.grid)
        self.coordinates = block_coordinates(rows, columns)
        self.head_channels = config.width // config.heads
        self._rotary_space: RotaryEmbedding | None = None

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
            inputs = PassInputs(self._rotary_time(frames, device), self._rotary_frame(device), mask)
        else:
            make_mask = causal_mask if self.causal else block_mask
            mask = make_mask(t, self.config.block_size, self.config.context, device)
            inputs = PassInputs(self._rotary_full(frames, device), None, mask)
        if self.absolute is not None:
            table = rearrange(self.absolute.weight, "(t p) d -> t p d", p=self.config.block_size)
            x_btpd = x_btpd + table[:t]
        for block in self.blocks:
            x_btpd = block(x_btpd, inputs)
        return self.norm(x_btpd)

    def new_cache(self, batch: int) -> KVCache:
        """Returns an empty cache for `batch` dreams, in the precision of its attention."""
        config = self.config
        rows = batch * config.block_size if self.factorised else batch
        slots = config.context if self.factorised else config.context * config.block_size
        like = self.norm.weight
        if like.device.type == "cpu" and (self.factorised or self.causal):
            # Single queries: on CPUs torch attends 3 to 10 times as slowly in bf16 (torch 2.15).
            like = like.float()
        layers = [
            LayerCache(rows, config.heads, slots, self.head_channels, like)
            for _ in range(config.layers)
        ]
        return KVCache(layers=layers, context=config.context, block_size=config.block_size)

    def step(
        self, x_bnd: Tensor, cache: KVCache, compiled: Callable[..., Tensor] | None = None
    ) -> Tensor:
        """Passes the next n positions of the current block, and stores them in the cache.

        Args:
            x_bnd: Float (B, n, D). Without causal order inside a frame, n must be the whole block.
            cache: Of these dreams.
            compiled: `run_blocks`, compiled; None runs it as it is.
        """
        n, device = x_bnd.shape[1], x_bnd.device
        assert self.causal or n == self.config.block_size
        here = slice(cache.position, cache.position + n)
        frame = torch.tensor([cache.frames])
        static = compiled is not None
        if self.factorised:
            slots = CacheSlots(cache.slot, cache.used)
            mask = factorised_cache_mask(cache, static)
            inputs = PassInputs(self._rotary_time(frame, device), self._rotary_frame(device), mask)
        else:
            slots = block_slots(cache, n)
            rotary = self._rotary_full(frame, device)
            mask = cache_mask(cache, n, self.causal, slots.read, device, static)
            inputs = PassInputs(None if rotary is None else rotary[here], None, mask)
        if self.absolute is not None:
            first = cache.slot * self.config.block_size
            x_bnd = x_bnd + self.absolute.weight[first + here.start : first + here.stop]
        if compiled is not None:
            slots = slots.static(n if not self.factorised else 1, cache.layers[0].size, device)
            x_bnd = compiled(x_bnd, inputs, cache.layers, slots)
        else:
            x_bnd = self.run_blocks(x_bnd, inputs, cache.layers, slots)
        cache.advance(n)
        return x_bnd

    def run_blocks(
        self, x_bnd: Tensor, inputs: PassInputs, layers: list[LayerCache], slots: CacheSlots
    ) -> Tensor:
        """Runs all blocks and the last norm; this is what `torch.compile` compiles."""
        blocks = cast(Iterable[FullBlock | FactorisedBlock], self.blocks)
        for block, layer in zip(blocks, layers, strict=True):
            x_bnd = block.step(x_bnd, inputs, layer, slots)
        return self.norm(x_bnd)

    def _rotary_frame(self, device: torch.device) -> RotaryEmbedding | None:
        if self.absolute is not None:
            return None
        if self._rotary_space is None or self._rotary_space.cos.device != device:
            self._rotary_space = rotary_embedding(self.coordinates, self.head_channels, device)
        return self._rotary_space

    def _rotary_time(self, frames: Tensor, device: torch.device) -> RotaryEmbedding | None:
        if self.absolute is not None:
            return None
        return rotary_embedding(frames[:, None], self.head_channels, device)

    def _rotary_full(self, frames: Tensor, device: torch.device) -> RotaryEmbedding | None:
        if self.absolute is not None:
            return None
        positions = len(self.coordinates)
        time = frames.repeat_interleave(positions)[:, None]
        position = self.coordinates.repeat(len(frames), 1)
        return rotary_embedding(torch.cat((time, position), dim=1), self.head_channels, device)
