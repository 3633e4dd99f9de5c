"""Tasks: pieces of work for the worker processes, and who gives them out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from worldtokens.collect.dataset.episode import Episode, EpisodeInfo
from worldtokens.collect.policies.policy import Policy
from worldtokens.envs import FrameEnv


@dataclass(frozen=True)
class Progress:
    """What a worker did since it last reported.

    Attributes:
        recorded_steps: Steps of episodes that the next shard will hold.
        rooms: Rooms seen.
        best_score: Highest sum of rewards since a reset.
    """

    recorded_steps: int = 0
    rooms: frozenset[int] = frozenset()
    best_score: float = 0.0


class StopRequested(Exception):
    """Ends a task whose result nobody waits for any more."""


@dataclass
class Worker:
    """What a task may use in the process that runs it.

    Attributes:
        env: The environment.
        policy: Chooses the actions.
        report: Sends progress to the parent; call it every second or so.
        save: Puts an episode into the next shard.
        room_byte: Index of the RAM byte that holds the room, or None where no byte is known.
        state: What a task keeps for later tasks in the same process, by name.
        check_stop: Raises StopRequested where the parent wants an end; call it often.
    """

    env: FrameEnv
    policy: Policy
    report: Callable[[Progress], None]
    save: Callable[[Episode], None]
    room_byte: int | None
    state: dict[str, Any] = field(default_factory=dict)
    check_stop: Callable[[], None] = lambda: None

    def scene_in(self, ram: np.ndarray) -> int:
        """Returns the scene (room) of a RAM, uint8 (128,); 0 where the game labels no room."""
        return int(ram[self.room_byte]) if self.room_byte is not None else 0

    def rooms_in(self, ram: np.ndarray) -> frozenset[int]:
        """Returns the rooms of RAM rows, uint8 (n, 128); none where the game labels no room."""
        if self.room_byte is None:
            return frozenset()
        return frozenset(np.unique(ram[:, self.room_byte]).tolist())


class Task(Protocol):
    """A piece of work of at most a few seconds; tasks and results are pickled."""

    def run(self, worker: Worker) -> object:
        """Does the work in a worker process and returns what the scheduler needs."""
        ...


@dataclass(frozen=True)
class Recorded:
    """The result of tasks that record one episode.

    Attributes:
        info: The episode, or None where the policy stopped before its first step.
        stopped: Whether the policy ends the recording.
    """

    info: EpisodeInfo | None
    stopped: bool = False


class Scheduler(Protocol):
    """Decides what the workers do; lives in the parent."""

    def next_task(self, worker: int) -> Task | None:
        """Returns the next task for a worker by its number, or None when nothing is left."""
        ...

    def receive(self, result: object) -> None:
        """Takes a task's result."""
        ...
