"""Tiny world models and random episodes for tests."""

import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenSegments

SHAPES = {
    "autoregressive": dict(prediction="autoregressive", attention="full", merge=1, history=1),
    "parallel": dict(prediction="parallel", attention="full", merge=1),
    "merged": dict(prediction="parallel", attention="full", merge=2),
    "factorised": dict(prediction="parallel", attention="factorised", merge=2),
    "gated": dict(prediction="parallel", attention="factorised", merge=2, stay_gate=True),
}


def tiny(shape: str = "factorised", **changes) -> WorldModel:
    """A model of 8 tokens of 7, 3 actions, 3 frames of context, with large random weights."""
    torch.manual_seed(0)
    config = WorldModelConfig(
        **{
            **dict(tokenizer="abc", vocab_size=7, grid=(4, 2), num_actions=3, context=3),
            **dict(layers=2, heads=2, width=16, copies=2, code_dim=3, reward_values=[0.0, 100.0]),
            **dict(history=2, stay_gate=False, predicts_lives=False),
            **SHAPES[shape],
            **changes,
        }
    )
    model = WorldModel(config).eval()
    model.imaginer.uses_autocast = False
    for parameter in model.parameters():
        # Untrained weights are too small for a wrong mask to show.
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def episode(frames: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens int64 (batch, frames, 8) and actions int64 (batch, frames - 1)."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(7, (batch, frames, 8), generator=generator)
    return tokens, torch.randint(3, (batch, frames - 1), generator=generator)


def small_segments(**changes) -> TokenSegments:
    """One segment of three frames of two tokens; the second step pays 100 and ends the game."""
    values = dict(
        tokens=torch.tensor([[[0, 1], [1, 1], [0, 0]]]),
        actions=torch.zeros(1, 2, dtype=torch.int64),
        rewards=torch.tensor([[0.0, 100.0]]),
        terminated=torch.tensor([[False, True]]),
        truncated=torch.tensor([[False, False]]),
        mask=torch.ones(1, 3, dtype=torch.bool),
    )
    return TokenSegments(**{**values, **changes})


def real_segments(tokens, actions):
    """Segments without padding, rewards or ends."""
    batch, steps = actions.shape
    return TokenSegments(
        tokens=tokens,
        actions=actions,
        rewards=torch.zeros(batch, steps),
        terminated=torch.zeros(batch, steps, dtype=torch.bool),
        truncated=torch.zeros(batch, steps, dtype=torch.bool),
        mask=torch.ones(batch, steps + 1, dtype=torch.bool),
    )
