"""Open-loop rollouts from held-out episodes, beside what really came."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldtokens.world_model.data.segments import TokenEpisode, TokenSegments, stack_windows
from worldtokens.world_model.imagination.imaginer import Policy
from worldtokens.world_model.imagination.rollout import Rollout
from worldtokens.world_model.imagination.sampling import Generators, Sampling
from worldtokens.world_model.model import WorldModel

BATCH = 64
AS_PREDICTED = Sampling()


@dataclass(frozen=True)
class OpenLoop:
    """Dreams from real starts, beside what really came under the same actions.

    Attributes:
        truth: Windows of context + horizon frames.
        actions: int64 (N, horizon), the actions of the dreams from the last known frame on.
        rollout: What was imagined after the context.
        frame_numbers: int64 (N, context + horizon), the frames' numbers in their dataset; where
            `truth.mask` is False they mean nothing.
        context: Known frames.
        samples: Dreams of each start, which follow one another.
    """

    truth: TokenSegments
    actions: Tensor
    rollout: Rollout
    frame_numbers: np.ndarray
    context: int
    samples: int = 1


def roll_out(
    model: WorldModel,
    starts: Sequence[tuple[TokenEpisode, int]],
    context: int,
    horizon: int,
    *,
    actions: Tensor | Policy | None = None,
    samples: int = 1,
    sampling: Sampling = AS_PREDICTED,
    generator: Generators = None,
) -> OpenLoop:
    """Dreams on from each start under the actions that were really taken, or under others.

    Args:
        model: Imagines; in eval mode.
        starts: Episodes and the first frame of their context. Where an episode stops before the
            horizon, the dream goes on under action 0 and `truth.mask` is False.
        context: Known frames.
        horizon: Frames to imagine.
        actions: int64 (N, horizon), taken from the last known frame on, N the number of dreams;
            None takes the real ones; a policy is called at each frame, see `WorldModel.imagine`.
        samples: Dreams of each start.
        sampling: How tokens, rewards and ends are drawn.
        generator: One generator, or one per dream.

    Raises:
        ValueError: There is no start.
    """
    if not starts:
        raise ValueError("starts: expected at least one start for the dreams, got none")
    starts = [start for start in starts for _ in range(samples)]
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], context + horizon)
    actions = truth.actions[:, context - 1 :] if actions is None else actions
    driver = actions if isinstance(actions, Tensor) else _RecordingPolicy(actions)
    # A policy sees all of its dreams at once: it may keep something of each.
    batch = BATCH if isinstance(driver, Tensor) else len(starts)
    rollouts = []
    for first in range(0, len(starts), batch):
        rows = slice(first, first + batch)
        rollouts.append(
            model.imagine(
                truth.tokens[rows, :context].to(model.device),
                truth.actions[rows, : context - 1].to(model.device),
                driver[rows].to(model.device) if isinstance(driver, Tensor) else driver,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                generator=generator[rows] if isinstance(generator, Sequence) else generator,
                horizon=None if isinstance(driver, Tensor) else horizon,
            )
        )
    taken = driver if isinstance(driver, Tensor) else driver.actions()
    first_frames = np.array([episode.first_frame + t for episode, t in starts])
    numbers = np.where(truth.mask, first_frames[:, None] + np.arange(context + horizon), 0)
    return OpenLoop(truth, taken, _join(rollouts), numbers, context, samples)


def _join(rollouts: Sequence[Rollout]) -> Rollout:
    """Returns rollouts as one, on the CPU."""
    names = [field.name for field in dataclasses.fields(Rollout)]
    parts = {name: [getattr(rollout, name).cpu() for rollout in rollouts] for name in names}
    return Rollout(**{name: torch.cat(tensors) for name, tensors in parts.items()})


class _RecordingPolicy:
    """Wraps a policy and records its actions."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self._taken: list[Tensor] = []

    def __call__(self, tokens: Tensor) -> Tensor:
        self._taken.append(self._policy(tokens))
        return self._taken[-1]

    def actions(self) -> Tensor:
        """Returns all of them, int64 (N, horizon)."""
        return torch.stack(self._taken, dim=1).cpu()
