"""How likely a model holds an event in the very next step, and how well that ranks windows."""

from collections.abc import Sequence

import numpy as np
import torch

from worldtokens.world_model.data.segments import TokenEpisode, stack_windows
from worldtokens.world_model.evaluation.events.events import END, LOST_LIFE, REWARD, SCENE
from worldtokens.world_model.evaluation.setup import Setup

BATCH = 16


@torch.no_grad()
def next_step_probabilities(
    setup: Setup, kind: str, starts: Sequence[tuple[TokenEpisode, int]]
) -> np.ndarray | None:
    """Returns how likely the model holds an event in the step after known frames.

    Args:
        setup: Has the model.
        kind: Of `KINDS`.
        starts: Episodes and first frames of the context.

    Returns:
        float64 (N, R) for rewards, each value's; float64 (N, 1) else; None where the model gives
        no probability of that kind.
    """
    model, length = setup.model, setup.context + 1
    if kind == SCENE or (kind == LOST_LIFE and not model.config.predicts_lives):
        return None
    parts = [np.zeros((0, len(model.reward_values) if kind == REWARD else 1))]
    for first in range(0, len(starts), BATCH):
        batch = starts[first : first + BATCH]
        windows = stack_windows([e for e, _ in batch], [t for _, t in batch], length)
        windows = windows.to(model.device)
        mask = torch.zeros_like(windows.tokens[:, 1:], dtype=torch.bool)
        mask[:, -1] = True
        prediction = model(windows.tokens, windows.actions, mask, from_prior=True)
        logits = {
            REWARD: prediction.rewards, END: prediction.ends, LOST_LIFE: prediction.lives_lost,
        }[kind]  # fmt: skip
        probability = logits[:, -1].double().softmax(dim=-1).cpu().numpy()
        parts.append(probability if kind == REWARD else probability[:, 1:])
    return np.concatenate(parts)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Computes the area under the curve of precision over recall; NaN without positives.

    Examples of equal score are ranked together.

    Args:
        scores: float (n,).
        positive: bool (n,).
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(positive[order])
    last_of_equals = np.append(scores[order][1:] != scores[order][:-1], True)
    found, ranks = found[last_of_equals], np.flatnonzero(last_of_equals) + 1
    gained = np.diff(found, prepend=0)
    return float((gained * found / ranks).sum() / found[-1])
