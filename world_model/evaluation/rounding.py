"""How much the outputs of a tokenizer and a world model change when their weights are rounded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from worldtokens.collect import Episode
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.model import WorldModel

MAX_FRAMES = 512


@dataclass(frozen=True)
class ModelOutputs:
    """The outputs of two models for the same held-out frames, to compare before and after rounding.

    Attributes:
        tokens: int64 (n, K).
        frames: Decoded from `tokens` of the models before rounding: uint8 (n, height, width, 3).
        predicted: The likeliest tokens of each next frame, int64 (excerpts, steps, K).
    """

    tokens: torch.Tensor
    frames: torch.Tensor
    predicted: torch.Tensor


@torch.no_grad()
def compute_outputs(
    tokenizer: Tokenizer,
    world_model: WorldModel,
    excerpts: Sequence[Episode],
    tokens: torch.Tensor | None = None,
) -> ModelOutputs:
    """Computes the outputs of both models.

    Args:
        tokenizer: Encodes and decodes.
        world_model: Predicts the next frames.
        excerpts: Held-out episodes.
        tokens: Decoded in place of the tokenizer's own tokens of the frames, int64 (n, K).
    """
    frames = np.concatenate([excerpt.frames for excerpt in excerpts])
    frames = frames[:: -(-len(frames) // MAX_FRAMES)]
    own = tokenizer.encode(frames)
    length = min(world_model.config.context, excerpts[0].num_steps) + 1
    segments = tokenizer.encode(np.stack([excerpt.frames[:length] for excerpt in excerpts]))
    actions = torch.from_numpy(np.stack([excerpt.actions[: length - 1] for excerpt in excerpts]))
    predicted = [
        world_model(segment[None], action[None], from_prior=True).tokens.argmax(-1)
        for segment, action in zip(segments, actions, strict=True)
    ]
    decoded = tokenizer.decode(own if tokens is None else tokens)
    return ModelOutputs(own, decoded, torch.cat(predicted))


def describe_rounding(before: ModelOutputs, after: ModelOutputs) -> str:
    """Says in one sentence or two what rounding the weights to float16 changed."""
    same = float((before.tokens == after.tokens).double().mean())
    difference = int((before.frames.int() - after.frames.int()).abs().max())
    agreed = float((before.predicted == after.predicted).double().mean())
    return (
        "The weights are stored as float16 and load as float32; the metrics were measured before "
        f"that. On {len(before.tokens)} held-out frames {100 * same:.3f}% of the tokens and "
        f"{100 * agreed:.3f}% of the likeliest next tokens stayed as they were, and decoded pixels "
        f"changed by at most {difference} of 255."
    )
