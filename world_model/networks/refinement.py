"""Refinement: some tokens of a predicted frame are predicted again, given its other tokens.

A parallel model draws the tokens of a frame as if they did not depend on each other, so a sprite
that may be in one of two positions is drawn at both or at neither. As in MaskGIT (arXiv:2202.04200,
section 3.2), the tokens that it is sure of stay visible, and the others are predicted again from
them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.predictions import TokenTables
from worldtokens.world_model.networks.rope import (
    RotaryEmbedding,
    block_coordinates,
    rotary_embedding,
)
from worldtokens.world_model.networks.transformer import PreNormBlock


@dataclass(frozen=True)
class Draft:
    """Drafts of frames, some tokens of which are to be predicted again.

    Attributes:
        tokens: int64 (B, T, K).
        visible: bool (B, T, K), True for tokens that are shown; the others are hidden.
        predict_mask: bool (B, T, K), hidden tokens to predict.
    """

    tokens: Tensor
    visible: Tensor
    predict_mask: Tensor


class SpatialBlock(PreNormBlock):
    """Attention within a frame, then a feed-forward layer."""

    def forward(self, x_npd: Tensor, rotary: RotaryEmbedding) -> Tensor:
        """Passes frames, float (N, P, D)."""
        x_npd = x_npd + self.attention(self.norm_attention(x_npd), rotary)
        return x_npd + self.mlp(self.norm_mlp(x_npd))


class Refiner(nn.Module):
    """Blocks within a frame, over the transformer's output and the visible tokens."""

    def __init__(self, config: WorldModelConfig):
        """Creates the layers."""
        super().__init__()
        inner = config.width // config.merge
        self.config = config
        self.hidden = nn.Parameter(torch.zeros(inner))
        self.draft = nn.Linear(config.merge**2 * inner, config.width)
        self.blocks = nn.ModuleList(SpatialBlock(config) for _ in range(config.refine_layers))
        self.norm = nn.LayerNorm(config.width)
        self.unmerge = nn.Linear(config.width, config.merge**2 * inner)
        rows, columns = (side // config.merge for side in config.grid)
        self.coordinates = block_coordinates(rows, columns)[:-1]

    def forward(
        self, features: Tensor, tokens: Tensor, visible: Tensor, tables: TokenTables
    ) -> Tensor:
        """Predicts features of every token of a frame from those that are visible.

        Args:
            features: The transformer's output at the frame's positions, float (..., P - 1, D).
            tokens: int64 (..., K).
            visible: bool (..., K), True for tokens that are shown.
            tables: The tokens' vectors.

        Returns:
            Float (..., K, inner).
        """
        config = self.config
        m, rows = config.merge, config.grid[0] // config.merge
        seen = F.embedding(tokens, tables.inputs)
        seen = torch.where(visible[..., None], seen, self.hidden.to(seen.dtype))
        seen = rearrange(seen, "... (r i c j) d -> ... (r c) (i j d)", r=rows, i=m, j=m)
        x = features + self.draft(seen)
        shape = x.shape
        rotary = rotary_embedding(self.coordinates, config.width // config.heads, x.device)
        x = x.reshape(-1, *shape[-2:])
        for block in self.blocks:
            x = block(x, rotary)
        x = self.unmerge(self.norm(x)).reshape(*shape[:-1], -1)
        return rearrange(x, "... (r c) (i j d) -> ... (r i c j) d", r=rows, i=m, j=m)


def redrawn_counts(tokens: int, passes: int) -> list[int]:
    """Returns how many tokens each pass predicts again: a quarter, a quarter of those, ...

    Most tokens of a frame stay as they were and are sure at once, so few are left to settle; the
    last pass settles the least sure of all.
    """
    return [-(-tokens // 4**number) for number in range(1, passes + 1)]


def random_draft(tokens: Tensor, predict_mask: Tensor, hard: Tensor) -> Draft:
    """Hides some tokens of true frames to learn refinement from.

    A share drawn for each frame is hidden of the hard tokens, and a quarter of that share of the
    others, since it is hard tokens of which a dream is not sure.

    Args:
        tokens: True frames, int64 (B, T, K).
        predict_mask: bool (B, T, K), tokens that the loss looks at.
        hard: bool (B, T, K), tokens that change or are foreground.
    """
    share = torch.rand(*tokens.shape[:2], 1, device=tokens.device)
    share = torch.where(hard, share, share / 4)
    visible = torch.rand(tokens.shape, device=tokens.device) >= share
    return Draft(tokens, visible, predict_mask & ~visible)
