"""Passes through a transformer whose KV cache is an input and an output.

A graph knows no memory and no Python numbers that change, so here the cache is a tensor that holds
the keys and values of the last frames in order, newest last, and keys are rotated when they are
read, by where they then stand: rotary positions are relative, so this attends as `Transformer.step`
does, and no frame number grows without end.
"""

import math

import torch
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.attention import Attention
from worldtokens.world_model.networks.kv_cache import causal_mask
from worldtokens.world_model.networks.rope import RotaryEmbedding, rotary_embedding
from worldtokens.world_model.networks.transformer import FactorisedBlock, FullBlock, Transformer


class ExplicitTransformer(nn.Module):
    """A transformer with its cache handed in and out.

    A cache has the axes (2, layers, B, ..., slots, channels): keys, then values.

    Attributes:
        transformer: Whose weights these are.
    """

    def __init__(self, transformer: Transformer):
        """Computes the rotary embeddings of all positions of the context."""
        super().__init__()
        self.transformer = transformer
        config = transformer.config
        self.config = config
        frames = torch.arange(config.context)
        coordinates = transformer.coordinates
        if transformer.factorised:
            self._keep("space", coordinates)
            self._keep("time", frames[:, None])
        else:
            time = frames.repeat_interleave(config.block_size)[:, None]
            self._keep("full", torch.cat((time, coordinates.repeat(len(frames), 1)), dim=1))
            # An autoregressive model reads the next frame's tokens as one frame further on.
            after = torch.full((config.block_size, 1), config.context)
            self._keep("after", torch.cat((after, coordinates), dim=1))

    def cache_shape(self, batch: int) -> tuple[int, ...]:
        """Returns the shape of the cache of `batch` dreams."""
        return cache_shape(self.config, batch)

    def forward(self, x: Tensor, cache: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Passes the next block of every dream.

        Args:
            x: Embedded blocks, float32 (B, P, D).
            cache: Of the frames before.
            frames: Frames that each dream has read, int64 (B,).

        Returns:
            The normalised output, float32 (B, P, D), and the cache with this block in it.
        """
        known = known_frames(self.config, frames) + 1
        if self.transformer.absolute is not None:
            x = x + self._absolute(known - 1, 0, self.config.block_size)
        keys, values = [], []
        for number, block in enumerate(self.transformer.blocks):
            past = cache[0, number], cache[1, number]
            if isinstance(block, FactorisedBlock):
                x, k, v = self._factorised(block, x, *past, known)
            else:
                assert isinstance(block, FullBlock)
                x, k, v = self._full(block, x, *past, known)
            keys.append(k)
            values.append(v)
        return self.transformer.norm(x), torch.stack((torch.stack(keys), torch.stack(values)))

    def draft(self, x: Tensor, cache: Tensor, frames: Tensor) -> Tensor:
        """Passes a draft of the next frame's first tokens through an autoregressive model.

        Args:
            x: Embedded tokens, float32 (B, n, D).
            cache: With the block before in it.
            frames: Frames that each dream has read, that block included, int64 (B,).

        Returns:
            The normalised output, float32 (B, n, D).
        """
        n, p = x.shape[1], self.config.block_size
        known = known_frames(self.config, frames)
        if self.transformer.absolute is not None:
            # A cache that is full now was emptied before its last block, see `known_frames`.
            x = x + self._absolute(known, 0, n)
        # The oldest frame leaves the context when the next one begins.
        past = (self.config.context - 1) * p
        visible = self._visible(known + 1, p)[:, None, None, p:]
        causal = torch.ones(n, n, dtype=torch.bool, device=x.device).tril()
        mask = torch.cat((visible.expand(-1, 1, n, past), causal.expand(len(x), 1, n, n)), dim=-1)
        rotary_past = self._rotary("full", slice(p, None))
        rotary = self._rotary("after", slice(0, n))
        for number, block in enumerate(self.transformer.blocks):
            assert isinstance(block, FullBlock)
            q, k, v = split_heads(block.attention, block.norm_attention(x))
            k, v_past = rotate(k, rotary), cache[1, number][:, :, p:]
            k_past = rotate(cache[0, number][:, :, p:], rotary_past)
            k, v = torch.cat((k_past, k), dim=2), torch.cat((v_past, v), dim=2)
            x = x + join_heads(block.attention, attend(rotate(q, rotary), k, v, mask))
            x = x + block.mlp(block.norm_mlp(x))
        return self.transformer.norm(x)

    def _factorised(
        self, block: FactorisedBlock, x: Tensor, keys: Tensor, values: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Passes one block; keys and values are (B, P, heads, frames, channels)."""
        rotary = self._rotary("space", slice(None))
        q, k, v = split_heads(block.space, block.norm_space(x))
        y = attend(rotate(q, rotary), rotate(k, rotary), v, None)
        x = x + join_heads(block.space, y)
        q, k, v = (
            part.transpose(1, 2)[:, :, :, None]
            for part in split_heads(block.time, block.norm_time(x))
        )
        keys = torch.cat((keys[:, :, :, 1:], k), dim=3)
        values = torch.cat((values[:, :, :, 1:], v), dim=3)
        mask = self._visible(known, 1)[:, None, None, None]
        newest = self._rotary("time", slice(self.config.context - 1, None))
        rotated = rotate(keys, self._rotary("time", slice(None)))
        y = attend(rotate(q, newest), rotated, values, mask)
        x = x + join_heads(block.time, y[:, :, :, 0].transpose(1, 2))
        return x + block.mlp(block.norm_mlp(x)), keys, values

    def _full(
        self, block: FullBlock, x: Tensor, keys: Tensor, values: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Passes one block; keys and values are (B, heads, frames * P, channels)."""
        p = self.config.block_size
        q, k, v = split_heads(block.attention, block.norm_attention(x))
        keys = torch.cat((keys[:, :, p:], k), dim=2)
        values = torch.cat((values[:, :, p:], v), dim=2)
        mask = self._visible(known, p)[:, None, None]
        if self.transformer.causal:
            mask = mask & causal_mask(self.config.context, p, self.config.context, x.device)[-p:]
        newest = self._rotary("full", slice(-p, None))
        rotated = rotate(keys, self._rotary("full", slice(None)))
        y = attend(rotate(q, newest), rotated, values, mask)
        x = x + join_heads(block.attention, y)
        return x + block.mlp(block.norm_mlp(x)), keys, values

    def _visible(self, known: Tensor, per_frame: int) -> Tensor:
        """Returns which slots hold frames of the dream, bool (B, context * per_frame)."""
        context = self.config.context
        slots = torch.arange(context, device=known.device).repeat_interleave(per_frame)
        return slots >= (context - known)[:, None]

    def _absolute(self, slot: Tensor, first: int, stop: int) -> Tensor:
        """Returns learned positions `first` to `stop` of a frame's block, float32 (B, n, D)."""
        assert self.transformer.absolute is not None
        positions = slot[:, None] * self.config.block_size + torch.arange(first, stop)
        return self.transformer.absolute(positions)

    def _keep(self, name: str, coordinates: Tensor) -> None:
        if self.transformer.absolute is not None:
            return
        rotary = rotary_embedding(coordinates, self.transformer.head_channels, torch.device("cpu"))
        self.register_buffer(f"{name}_cos", rotary.cos)
        self.register_buffer(f"{name}_sin", rotary.sin)

    def _rotary(self, name: str, positions: slice) -> RotaryEmbedding | None:
        if self.transformer.absolute is not None:
            return None
        cos, sin = self.get_buffer(f"{name}_cos"), self.get_buffer(f"{name}_sin")
        return RotaryEmbedding(cos, sin)[positions]


def cache_shape(config: WorldModelConfig, batch: int) -> tuple[int, ...]:
    """Returns the shape of the cache of `batch` dreams."""
    channels = config.width // config.heads
    if config.attention == "factorised":
        inner = (config.block_size, config.heads, config.context, channels)
    else:
        inner = (config.heads, config.context * config.block_size, channels)
    return (2, config.layers, batch, *inner)


def known_frames(config: WorldModelConfig, frames: Tensor) -> Tensor:
    """Returns how many of the frames read a cache still holds, int64 (B,).

    One with absolute positions is emptied before a frame that it has no room for, see
    `ImaginationState.make_room`.
    """
    if config.positions == "rotary":
        return frames.clamp(max=config.context)
    ahead = 1 if config.prediction == "autoregressive" else 0
    return frames % max(1, config.context - ahead)


def split_heads(attention: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns queries, keys and values, (B, heads, S, channels) each, of float32 (B, S, D)."""
    b, s, d = x.shape
    qkv = attention.qkv(x).view(b, s, 3, attention.heads, d // attention.heads)
    return tuple(qkv.permute(2, 0, 3, 1, 4).unbind())


def join_heads(attention: Attention, y: Tensor) -> Tensor:
    """Returns the output of attention, float32 (B, S, D), from (B, heads, S, channels)."""
    return attention.out(y.transpose(1, 2).flatten(2))


def rotate(x: Tensor, rotary: RotaryEmbedding | None) -> Tensor:
    """Rotates queries or keys, where positions are rotary."""
    return x if rotary is None else rotary(x)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Computes scaled-dot-product attention; mask: bool, True = sees; None sees all."""
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1) @ v
