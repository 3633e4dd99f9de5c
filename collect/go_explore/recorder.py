"""Recording segments that start at the cells of an archive."""

from dataclasses import dataclass

import numpy as np

from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.dataset.episodes import is_heldout_seed
from worldtokens.collect.from_reset import JobShare, RecordFromReset, episode_seed
from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.config import GoExploreConfig
from worldtokens.collect.rollout import EpisodeRecorder, rollout
from worldtokens.collect.tasks import Progress, Recorded, Task, Worker
from worldtokens.envs import EnvState


@dataclass(frozen=True)
class RecordFromCell:
    """Restores the state of a cell and records from there.

    Attributes:
        id: The episode's id.
        seed: Seeds the environment's generator and the policy.
        route: The cell to start from.
        max_steps: Number of steps after which the episode is cut.
    """

    id: str
    seed: int
    route: Route
    max_steps: int

    def run(self, worker: Worker) -> Recorded:
        """See `Task.run`."""
        frame, info = worker.env.restore_state(EnvState.from_bytes(self.route.state))
        worker.env.reseed(self.seed)
        worker.policy.begin(np.random.default_rng([self.seed, 1]))
        recorder = EpisodeRecorder(frame, info["ram"], info["lives"])
        for step in rollout(worker.env, worker.policy, frame):
            recorder.add(step)
            if len(recorder) == self.max_steps:
                break
        episode = recorder.finish(self.id, self.seed, "restored", self.route.key)
        worker.save(episode)
        worker.report(
            Progress(
                recorded_steps=len(recorder),
                rooms=worker.rooms_in(episode.ram),
                best_score=self.route.score + recorder.total_reward,
            )
        )
        return Recorded(episode.info)


class FromCellsScheduler:
    """Records segments from an archive's cells, balanced over rooms, and some whole games.

    Rooms are drawn uniformly, then a cell of the room. Episodes that are held out (by their seed)
    start from cells from which no training episode starts.
    """

    def __init__(
        self,
        archive: Archive,
        config: GoExploreConfig,
        share: JobShare,
        num_steps: int,
        existing: tuple[EpisodeInfo, ...],
    ) -> None:
        """Plans what is missing; see `FromResetScheduler`."""
        self._starts = {held: archive.starts(held) for held in (False, True)}
        self._config = config
        self._share = share
        self._num_steps = num_steps
        self._existing = share.numbers_of(existing)
        self.recorded_steps = sum(self._existing.values())
        self._number = share.shard

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        if self.recorded_steps >= self._num_steps:
            return None
        while self._number in self._existing:
            self._number += self._share.num_shards
        number = self._number
        self._number += self._share.num_shards
        id, seed = self._share.episode_id(number), episode_seed(self._share.seed, number)
        starts = self._starts[is_heldout_seed(seed)]
        rng = np.random.default_rng([seed, 4])
        if not starts or rng.random() < self._config.from_reset_share:
            return RecordFromReset(id, seed)
        routes = starts[sorted(starts)[int(rng.integers(len(starts)))]]
        route = routes[int(rng.integers(len(routes)))]
        return RecordFromCell(id, seed, route, self._config.segment_steps)

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Recorded) and result.info
        self.recorded_steps += result.info.num_steps
