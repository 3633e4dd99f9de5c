"""The state of a batch of dreams between two frames."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from worldtokens.world_model.networks.kv_cache import KVCache
from worldtokens.world_model.networks.network import WorldModelNetwork
from worldtokens.world_model.networks.predictions import TokenTables


@dataclass(kw_only=True)
class ImaginationState:
    """What dreams remember, and what all their frames share.

    Attributes:
        network: The network, in the precision in which these dreams run.
        tables: Its token vectors.
        cache: Keys and values of the frames read.
        compiled: The compiled pass through all blocks; None where passes are not compiled.
        past_frames: The last frames read, newest last, int64 (B, K) each.
    """

    network: WorldModelNetwork
    tables: TokenTables
    cache: KVCache
    compiled: Callable[..., Tensor] | None
    past_frames: list[Tensor] = field(default_factory=list)

    def step(self, x_bnd: Tensor) -> Tensor:
        """Passes the next n positions of the current block, float (B, n, D), through the blocks."""
        return self.network.transformer.step(x_bnd, self.cache, self.compiled)

    def remember(self, tokens_bk: Tensor) -> None:
        """Adds a frame, int64 (B, K), to the past frames."""
        self.past_frames = [*self.past_frames, tokens_bk][-self.network.num_past_frames :]

    def stack_past(self) -> Tensor:
        """Does as `WorldModelNetwork.stack_past` for the last frame: int64 (B, K, past frames)."""
        newest_first = self.past_frames[::-1]
        missing = self.network.num_past_frames - len(newest_first)
        return torch.stack(newest_first + newest_first[-1:] * missing, dim=-1)

    def make_room(self) -> None:
        """Empties a cache with absolute positions that the next frame would overflow.

        Learned positions end with the context; as in IRIS the dream then starts again from its
        last frame.
        """
        config = self.network.config
        if config.positions == "rotary":
            return
        ahead = 1 if config.prediction == "autoregressive" else 0
        if self.cache.frames + ahead >= config.context:
            self.cache.clear()

    def replace_rows(self, rows: Tensor, other: "ImaginationState") -> None:
        """Replaces some dreams by those of another state that was read up to the same position.

        Args:
            rows: int64 (n,), which dreams to replace.
            other: Of n dreams, with as many past frames as this state has.
        """
        assert len(other.past_frames) == len(self.past_frames)
        self.cache.replace_rows(rows, other.cache, len(self.past_frames[0]))
        # Copies, since these tensors may be the caller's.
        self.past_frames = [frame.clone() for frame in self.past_frames]
        for to, source in zip(self.past_frames, other.past_frames, strict=True):
            to[rows] = source
