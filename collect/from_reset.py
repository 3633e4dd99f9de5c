"""Recording whole games from a reset under a policy."""

from dataclasses import dataclass

import numpy as np

from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.rollout import EpisodeRecorder, rollout
from worldtokens.collect.tasks import Progress, Recorded, Task, Worker

_REPORT_EVERY = 250


@dataclass(frozen=True)
class JobShare:
    """The episodes of a job that this process records: numbers k with k % num_shards == shard.

    Attributes:
        job: The job's name; episode k's id is "<job>-<k>".
        seed: The job's seed.
        shard: Number of this part of the job.
        num_shards: Number of parts of the job.
    """

    job: str
    seed: int
    shard: int = 0
    num_shards: int = 1

    def episode_id(self, number: int) -> str:
        """Returns the id of the job's k-th episode."""
        return f"{self.job}-{number:08d}"

    def numbers_of(self, infos: tuple[EpisodeInfo, ...]) -> dict[int, int]:
        """Returns the steps of those of these episodes that are in this share, by number."""
        ours = {}
        for info in infos:
            job, _, number = info.id.rpartition("-")
            if job == self.job and int(number) % self.num_shards == self.shard:
                ours[int(number)] = info.num_steps
        return ours


def episode_seed(seed: int, number: int) -> int:
    """Returns the environment's seed for the k-th episode of a job.

    It ends in the same digit as k, so that one of every ten consecutive episodes is held out
    (`is_heldout_seed`).
    """
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return drawn % 200_000_000 * 10 + number % 10


@dataclass(frozen=True)
class RecordFromReset:
    """Plays and records one game.

    Attributes:
        id: The episode's id.
        seed: Seeds the environment and the policy.
    """

    id: str
    seed: int

    def run(self, worker: Worker) -> Recorded:
        """See `Task.run`."""
        frame, info = worker.env.reset(seed=self.seed)
        worker.policy.begin(np.random.default_rng([self.seed, 1]))
        recorder = EpisodeRecorder(frame, info["ram"], info["lives"])
        for step in rollout(worker.env, worker.policy, frame):
            recorder.add(step)
            if len(recorder) % _REPORT_EVERY == 0:
                worker.report(_progress(recorder, _REPORT_EVERY, worker))
        worker.report(_progress(recorder, len(recorder) % _REPORT_EVERY, worker))
        if not len(recorder):
            return Recorded(None, stopped=True)
        episode = recorder.finish(self.id, self.seed, "reset")
        worker.save(episode)
        return Recorded(episode.info, stopped=not recorder.has_ended)


class FromResetScheduler:
    """Records episodes k = 0, 1, 2, ... until there are enough steps.

    The episodes are the same for any number of workers; more workers may record a few more, as
    they begin episodes before the last ones have ended.
    """

    def __init__(self, share: JobShare, num_steps: int, existing: tuple[EpisodeInfo, ...]) -> None:
        """Plans what is missing.

        Args:
            share: This part of the job.
            num_steps: Number of steps that this part should have.
            existing: Episodes that are on disk already.
        """
        self._share = share
        self._num_steps = num_steps
        self._existing = share.numbers_of(existing)
        self.recorded_steps = sum(self._existing.values())
        self._number = share.shard
        self._is_stopped = False

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        if self.recorded_steps >= self._num_steps or self._is_stopped:
            return None
        while self._number in self._existing:
            self._number += self._share.num_shards
        number = self._number
        self._number += self._share.num_shards
        return self._choose(self._share.episode_id(number), episode_seed(self._share.seed, number))

    def _choose(self, id: str, seed: int) -> Task:
        """Returns the task that records the episode of this id and seed."""
        return RecordFromReset(id, seed)

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Recorded)
        self.recorded_steps += result.info.num_steps if result.info else 0
        self._is_stopped |= result.stopped


def _progress(recorder: EpisodeRecorder, steps: int, worker: Worker) -> Progress:
    return Progress(
        recorded_steps=steps,
        rooms=worker.rooms_in(recorder.last_ram(steps + 1)),
        best_score=recorder.total_reward,
    )
