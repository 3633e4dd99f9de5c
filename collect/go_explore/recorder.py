"""Recording segments that start at the cells of archives, and shortly before events."""

from dataclasses import dataclass

import numpy as np

from worldtokens.collect.dataset.episode import EpisodeInfo
from worldtokens.collect.dataset.episodes import is_heldout_seed
from worldtokens.collect.from_reset import FromResetScheduler, JobShare, RecordFromReset
from worldtokens.collect.go_explore.approaches import approach_tree, draw_approach, heldout_cells
from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.passes import RecordFromEvent, SegmentStart, record_from
from worldtokens.collect.tasks import Recorded, Task, Worker
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
        return record_from(
            frame,
            info,
            worker,
            worker.policy,
            SegmentStart(self.id, self.seed, self.route.key, self.route.score),
            self.max_steps,
        )


@dataclass(frozen=True)
class Starts:
    """Where the episodes of a job begin.

    Attributes:
        segment_steps: Steps of an episode that begins at a cell.
        event_segment_steps: Steps of an episode that begins shortly before an event.
        from_reset_share: Share of whole games; drawn before the others.
        event_share: Share of episodes that begin shortly before an event.
        pass_share: Share of those that follow the recorded actions through the event.
    """

    segment_steps: int
    event_segment_steps: int
    from_reset_share: float
    event_share: float
    pass_share: float = 0.5


class FromCellsScheduler(FromResetScheduler):
    """Records segments from the cells of archives, segments from events, and some whole games.

    For a segment from a cell an archive is drawn evenly, then a room, then a cell of the room; for
    one from an event see `draw_approach`. Episodes that are held out (by their seed) start from
    cells, and before events at cells, that no training episode has.
    """

    def __init__(
        self,
        archives: list[Archive],
        starts: Starts,
        share: JobShare,
        num_steps: int,
        existing: tuple[EpisodeInfo, ...],
    ) -> None:
        """Plans what is missing; see `FromResetScheduler`."""
        super().__init__(share, num_steps, existing)
        sides = (False, True)
        self._cells: dict[bool, list[dict[int, list[Route]]]] = {
            held: [cells for a in archives if (cells := a.starts(held))] for held in sides
        }
        approaches = [approach for archive in archives for approach in archive.approaches]
        heldout = heldout_cells(approaches, is_whole_job=share.num_shards == 1)
        used = {held: _event_cells(existing, held) for held in sides}
        heldout = heldout - used[False] | used[True]
        self._approaches = {
            held: approach_tree(a for a in approaches if (a.event.cell in heldout) == held)
            for held in sides
        }
        self._starts = starts

    def _choose(self, id: str, seed: int) -> Task:
        starts, held = self._starts, is_heldout_seed(seed)
        # A generator of its own, so that jobs without events draw the cells that they always drew.
        event_rng = np.random.default_rng([seed, 6])
        is_event = event_rng.random() < starts.event_share
        rng = np.random.default_rng([seed, 4])
        archives = self._cells[held]
        if not archives or rng.random() < starts.from_reset_share:
            return RecordFromReset(id, seed)
        if is_event and (tree := self._approaches[held]):
            approach = draw_approach(tree, event_rng)
            follows = bool(event_rng.random() < starts.pass_share)
            return RecordFromEvent(id, seed, approach, starts.event_segment_steps, follows)
        rooms = archives[int(event_rng.integers(len(archives)))]
        routes = rooms[sorted(rooms)[int(rng.integers(len(rooms)))]]
        route = routes[int(rng.integers(len(routes)))]
        return RecordFromCell(id, seed, route, starts.segment_steps)


def _event_cells(infos: tuple[EpisodeInfo, ...], heldout: bool) -> set[str]:
    """Returns the cells of the events that training, or held-out, episodes begin before."""
    names = (info.start_cell for info in infos if is_heldout_seed(info.seed) == heldout)
    return {name.partition("@")[2] for name in names if "@" in name}
