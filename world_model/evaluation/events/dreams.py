"""Dreams around events: what happens in them and when, and how likely the model holds it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldtokens.world_model.data.segments import TokenEpisode, TokenSegments, stack_windows
from worldtokens.world_model.evaluation.events.events import (
    END,
    LOST_LIFE,
    REWARD,
    SCENE,
    TOLERANCE,
    EventStep,
)
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.readers import LivesReader, SceneReader
from worldtokens.world_model.evaluation.setup import SAMPLINGS, Setup
from worldtokens.world_model.imagination.rollout import Rollout
from worldtokens.world_model.imagination.sampling import seeded_generators

# An episode and the first of the known frames.
Start = tuple[TokenEpisode, int]


@dataclass(frozen=True)
class Happenings:
    """What happens in the steps after the last known frame, of N dreams or of the truth.

    Attributes:
        tokens: The frames, int64 (N, H, K).
        rewards: float32 (N, H), without those after the end.
        lives_lost: bool (N, H), likewise.
        ends: bool (N, H), the first end alone.
    """

    tokens: np.ndarray
    rewards: np.ndarray
    lives_lost: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, tokens: Tensor, rewards: Tensor, lives_lost: Tensor, ends: Tensor) -> "Happenings":
        """Leaves out what comes after the first end; axes (N, H, ...)."""
        over = (ends.int().cumsum(dim=1) - ends.int()) > 0
        return cls(
            tokens=tokens.numpy(),
            rewards=torch.where(over, 0.0, rewards).numpy(),
            lives_lost=(lives_lost & ~over).numpy(),
            ends=(ends & ~over).numpy(),
        )

    @classmethod
    def of_rollout(cls, rollout: Rollout) -> "Happenings":
        """Returns those of dreams."""
        return cls.of(rollout.tokens, rollout.rewards, rollout.lives_lost, rollout.ends)

    @classmethod
    def of_truth(cls, truth: TokenSegments, context: int) -> "Happenings":
        """Returns those of true windows after their context."""
        after = slice(context - 1, None)
        steps = (truth.rewards[:, after], truth.lives_lost[:, after], truth.terminated[:, after])
        return cls.of(truth.tokens[:, context:], *steps)

    def shown(self, kind: str) -> np.ndarray:
        """Marks the steps with an event of a kind other than a change of scene, bool (N, H)."""
        return {REWARD: self.rewards != 0, LOST_LIFE: self.lives_lost, END: self.ends}[kind]


def dream(
    setup: Setup,
    starts: Sequence[Start],
    horizon: int,
    sampling: str,
    samples: int,
) -> Happenings:
    """Dreams on under the true actions.

    Args:
        setup: Has the model.
        starts: Episodes and first frames.
        horizon: Steps.
        sampling: Of `SAMPLINGS`.
        samples: Dreams of each start, which follow one another.
    """
    generators = seeded_generators(setup.seed, len(starts) * samples)
    open_loop = roll_out(
        setup.model, starts, setup.context, horizon, samples=samples,
        sampling=SAMPLINGS[sampling], generator=generators,
    )  # fmt: skip
    return Happenings.of_rollout(open_loop.rollout)


def true_happenings(setup: Setup, starts: Sequence[Start], horizon: int) -> Happenings:
    """Returns what really happened in these windows; after an episode's stop nothing does."""
    truth = stack_windows([e for e, _ in starts], [t for _, t in starts], setup.context + horizon)
    return Happenings.of_truth(truth, setup.context)


def state_reader(setup: Setup, kind: str) -> SceneReader | LivesReader | None:
    """Returns what reads a kind of event from decoded frames; None where the model predicts it.

    None, too, for lives that are neither predicted nor visible.
    """
    if kind == SCENE:
        return setup.scene_reader
    if kind == LOST_LIFE and not setup.model.config.predicts_lives:
        return setup.lives_reader
    return None


def is_predicted(setup: Setup, kind: str) -> bool:
    """Returns whether dreams show a kind of event at all: in their outcomes or in their frames."""
    has_head = kind != LOST_LIFE or setup.model.config.predicts_lives
    return has_head or state_reader(setup, kind) is not None


def true_states(setup: Setup, kind: str, numbers: np.ndarray) -> np.ndarray:
    """Returns what a state reader should read in some frames of the held-out episodes, (n,)."""
    if kind == SCENE:
        return setup.heldout.scene[numbers]
    if kind == LOST_LIFE:
        return setup.heldout.read("lives", 0, setup.heldout.num_frames)[numbers].astype(np.int64)
    return np.zeros(len(numbers), np.int64)


def foreseen(
    setup: Setup, kind: str, happened: Happenings, lead: int, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Looks for an event at its true time, give or take the kind's tolerance.

    Args:
        setup: Reads scenes and lives.
        kind: Of `KINDS`.
        happened: H is at least lead + tolerance.
        lead: The true step.
        before: `true_states` before the event, int64 (N,).

    Returns:
        Whether there is one, bool (N,), and its value, float64 (N,): of several rewards that
        nearest to the true time, and the scene after a change of scene.
    """
    early, late = lead - 1 - TOLERANCE[kind], lead - 1 + TOLERANCE[kind]
    if reader := state_reader(setup, kind):
        seen, last = _changed(setup, kind, reader, happened.tokens[:, late], before)
        if early >= 1:
            changed, _ = _changed(setup, kind, reader, happened.tokens[:, early - 1], before)
            seen &= ~changed
        return seen, last.astype(np.float64)
    steps = np.arange(happened.rewards.shape[1])
    shown = happened.shown(kind) & (steps >= early) & (steps <= late)
    distance = np.where(shown, np.abs(steps - (lead - 1)), len(steps))
    nearest = distance.argmin(axis=1)
    return shown.any(axis=1), _values(happened, kind, nearest)


def alarms(
    setup: Setup, kind: str, happened: Happenings, lead: int, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Looks for an event anywhere in the first lead + tolerance steps; see `foreseen`.

    Returns:
        Whether there is one, bool (N,), and the value of the first, float64 (N,).
    """
    length = lead + TOLERANCE[kind]
    if reader := state_reader(setup, kind):
        seen, last = _changed(setup, kind, reader, happened.tokens[:, length - 1], before)
        return seen, last.astype(np.float64)
    shown = happened.shown(kind)[:, :length]
    return shown.max(axis=1), _values(happened, kind, shown.argmax(axis=1))


def _changed(
    setup: Setup,
    kind: str,
    reader: SceneReader | LivesReader,
    tokens: np.ndarray,
    before: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns whether frames (N, K) show another state than before, and which they show."""
    read = reader.read(setup.decode(tokens))
    return (read != before if kind == SCENE else read < before), read


def _values(happened: Happenings, kind: str, steps: np.ndarray) -> np.ndarray:
    """Returns the value of the event at one step of each, float64 (N,)."""
    if kind != REWARD:
        return np.zeros(len(steps))
    return happened.rewards[np.arange(len(steps)), steps].astype(np.float64)


def starts_of(events: Sequence[EventStep], lead: int, context: int) -> list[Start]:
    """Returns the windows that know `context` frames, the last of them `lead` steps before."""
    return [(event.episode, event.start(lead, context)) for event in events]
