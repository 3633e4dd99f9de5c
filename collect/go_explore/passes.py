"""Recording segments that begin shortly before an event: passes through it, and past it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.paths import MAX_LEAD
from worldtokens.collect.policies.policy import Policy
from worldtokens.collect.rollout import EpisodeRecorder, rollout
from worldtokens.collect.tasks import Progress, Recorded, Worker

_MIN_LEAD = 4  # a world model sees some frames before it foresees anything
_LONGEST_PRELUDE = 3
_EARLIEST_LEAVE = 4


@dataclass(frozen=True)
class SegmentStart:
    """Where a segment begins.

    Attributes:
        id: The episode's id.
        seed: The episode's seed.
        cell: Name of the cell or of the event.
        score: Sum of the rewards from the reset to here, where it is known.
    """

    id: str
    seed: int
    cell: str
    score: float = 0.0


@dataclass(frozen=True)
class RecordFromEvent:
    """Restores a state shortly before an event and records from there.

    Attributes:
        id: The episode's id.
        seed: Seeds the environment's generator, the policy and what differs between passes.
        approach: The way to the event.
        max_steps: Number of steps after which the episode is cut.
        follows: Whether the recorded actions are played first, more or less, to meet the event;
            otherwise the policy plays from the start.
    """

    id: str
    seed: int
    approach: Approach
    max_steps: int
    follows: bool

    def run(self, worker: Worker) -> Recorded:
        """See `Task.run`."""
        env, approach = worker.env, self.approach
        rng = np.random.default_rng([self.seed, 5])
        lead = min(int(rng.integers(_MIN_LEAD, MAX_LEAD + 1)), approach.lead)
        first = approach.lead - lead
        frame, info = approach.path.replay(env, first)
        env.reseed(self.seed)
        worker.policy.begin(np.random.default_rng([self.seed, 1]))
        path = list(approach.path.actions[first:])
        num_actions = len(env.action_meanings)
        script = varied(path, lead, num_actions, rng) if self.follows else []
        return record_from(
            frame,
            info,
            worker,
            _ScriptedPolicy(script, worker.policy),
            SegmentStart(self.id, self.seed, approach.event.name),
            self.max_steps,
        )


def varied(path: list[int], lead: int, num_actions: int, rng: np.random.Generator) -> list[int]:
    """Returns the actions of one pass, which differs from other passes of the same path.

    One of five ways, drawn evenly: to the event; to a few steps before it; to some steps past it;
    with one or two other actions; after a short prelude of another action.

    Args:
        path: The recorded actions up to the event and past it.
        lead: Number of those up to the event, its own included.
        num_actions: Number of actions.
        rng: Draws the way and the actions.
    """
    way = int(rng.integers(5))
    through = path[:lead]
    if way == 1 and lead > 1:
        return through[: lead - int(rng.integers(1, min(_EARLIEST_LEAVE, lead - 1) + 1))]
    if way == 2:
        return path[: lead + int(rng.integers(len(path) - lead + 1))]
    if way == 3:
        for _ in range(int(rng.integers(1, 3))):
            through[int(rng.integers(lead))] = int(rng.integers(num_actions))
    if way == 4:
        prelude = [int(rng.integers(num_actions))] * int(rng.integers(1, _LONGEST_PRELUDE + 1))
        return prelude + through
    return through


class _ScriptedPolicy:
    """Plays a list of actions, then hands over to another policy, which has seen all frames."""

    def __init__(self, script: list[int], policy: Policy) -> None:
        self._script = script
        self._policy = policy
        self._step = 0

    def begin(self, rng: np.random.Generator) -> None:
        self._step = 0
        self._policy.begin(rng)

    def act(self, frame: np.ndarray) -> int:
        action = self._policy.act(frame)
        self._step += 1
        return self._script[self._step - 1] if self._step <= len(self._script) else action


def record_from(
    frame: np.ndarray,
    info: dict[str, Any],
    worker: Worker,
    policy: Policy,
    start: SegmentStart,
    max_steps: int,
) -> Recorded:
    """Records a segment from where the environment stands.

    Args:
        frame: The first frame.
        info: The environment's info at it.
        worker: Plays and saves.
        policy: A policy whose episode has begun.
        start: Where the segment begins.
        max_steps: Number of steps after which the episode is cut.
    """
    recorder = EpisodeRecorder(frame, info["ram"], info["lives"])
    for step in rollout(worker.env, policy, frame):
        recorder.add(step)
        if len(recorder) == max_steps:
            break
    if not len(recorder):
        return Recorded(None, stopped=True)
    recorded = recorder.finish(start.id, start.seed, "restored", start.cell)
    worker.save(recorded)
    worker.report(
        Progress(
            recorded_steps=len(recorder),
            rooms=worker.rooms_in(recorded.ram),
            best_score=start.score + recorder.total_reward,
        )
    )
    return Recorded(recorded.info)
