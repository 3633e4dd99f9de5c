"""How long a run trains, and the learning rate that follows from it."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from worldtokens.common.checks import check_at_least, check_positive, check_probability

SHAPES = ("cosine", "linear", "constant")


@dataclass
class BudgetConfig:
    """A run ends at `max_steps` or after `max_minutes` of training, whichever comes first.

    A limit in minutes makes runs of different models comparable, but only a limit in steps makes
    a run repeatable bit for bit, since the learning rate follows the share of the budget spent.

    Attributes:
        max_steps: Training steps; null for no limit.
        max_minutes: Minutes of training, without those of evaluations and checkpoints; null for no
            limit.
    """

    max_steps: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        """Checks that there is an end."""
        if self.max_steps is None and self.max_minutes is None:
            raise ValueError("budget: expected max_steps, max_minutes or both, got neither")
        if self.max_steps is not None:
            check_at_least(1, **{"budget.max_steps": self.max_steps})
        if self.max_minutes is not None:
            check_positive(**{"budget.max_minutes": self.max_minutes})


@dataclass(frozen=True)
class Progress:
    """Where a run stands: steps done, seconds trained, share of the budget spent in [0, 1]."""

    step: int
    seconds: float
    share: float


class Clock:
    """Counts the seconds of training; pauses (evaluation, checkpoints) do not count."""

    def __init__(self, budget: BudgetConfig, step: int = 0, seconds: float = 0.0):
        """Starts at the step and seconds of a checkpoint, or at zero."""
        self.budget = budget
        self.step = step
        self.seconds = seconds

    def share(self) -> float:
        """Returns the share of the budget spent so far, in [0, 1]."""
        shares = [0.0]
        if self.budget.max_steps is not None:
            shares.append(self.step / self.budget.max_steps)
        if self.budget.max_minutes is not None:
            shares.append(self.seconds / (60 * self.budget.max_minutes))
        return min(1.0, max(shares))

    def steps(self) -> Iterator[Progress]:
        """Yields before each training step; the time until `stepped` is called counts."""
        while (share := self.share()) < 1.0:
            self._started = time.perf_counter()
            yield Progress(self.step, self.seconds, share)

    def stepped(self) -> Progress:
        """Marks the end of a step, before anything that is not training."""
        self.seconds += time.perf_counter() - self._started
        self.step += 1
        return Progress(self.step, self.seconds, self.share())


@dataclass
class ScheduleConfig:
    """How the learning rate follows the share of the budget that is spent.

    A run that goes on with a larger budget has spent a smaller share of it, so the learning rate
    rises again to where the schedule of the whole budget has it; `constant` avoids that.

    Attributes:
        shape: cosine, linear or constant, after the warm-up.
        warmup: Share of the budget over which it rises to its peak.
        final: Learning rate at the end, as a share of the peak; unused with constant.
    """

    shape: str = "cosine"
    warmup: float = 0.02
    final: float = 0.02

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.shape not in SHAPES:
            raise ValueError(f"schedule.shape: expected one of {SHAPES}, got {self.shape!r}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"schedule.warmup: expected a number in [0, 1), got {self.warmup}")
        check_probability(**{"schedule.final": self.final})

    def rate(self, peak: float, share: float) -> float:
        """Returns the learning rate.

        Args:
            peak: Largest learning rate.
            share: Share of the budget spent, in [0, 1].
        """
        if share < self.warmup:
            return peak * (0.05 + 0.95 * share / self.warmup)
        phase = (share - self.warmup) / (1.0 - self.warmup)
        if self.shape == "constant":
            return peak
        if self.shape == "linear":
            return peak * (self.final + (1.0 - self.final) * (1.0 - phase))
        return peak * (self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * phase)))
