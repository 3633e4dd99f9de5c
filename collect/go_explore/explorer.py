"""Go-Explore: finds the cells that `worldtokens.collect.go_explore.recorder` records from.

Ecoffet et al. 2021, "First return, then explore": keep an archive of cells with the emulator's
state, return to one of them by restoring it, explore from there, keep what is new. Random play
never leaves the first room of Montezuma's Revenge; this reaches most of the pyramid in minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect.go_explore.archive import Archive, Rank, Route
from worldtokens.collect.go_explore.cells import Cells, PixelCells, make_cells
from worldtokens.collect.go_explore.config import GoExploreConfig
from worldtokens.collect.tasks import Task, Worker
from worldtokens.envs import EnvState

_RETURNS_PER_TASK = 32
_ADAPT_EVERY = 5_000
_SAVE_EVERY = 100_000
# The policy that explores looks at nothing, so no frame is built for it.
_BLANK = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Explored:
    """The result of an exploration task.

    Attributes:
        routes: Routes to cells that are new, or better ones to cells that the worker knew.
        steps: Steps played.
    """

    routes: list[Route]
    steps: int


@dataclass(frozen=True)
class Explore:
    """Returns to some cells and explores from each.

    Attributes:
        returns: Routes to the cells; an empty list starts at a reset.
        seed: Seeds the actions.
        trajectory_steps: Steps after each return.
        end_on_life_loss: See `GoExploreConfig`.
        improve_routes: See `GoExploreConfig`.
        cells: The definition of cells.
        new_ranks: Ranks of routes that this worker may not know yet.
        is_reset: Whether `new_ranks` replaces what the worker knew: cells are defined in a new way.
    """

    returns: list[Route]
    seed: int
    trajectory_steps: int
    end_on_life_loss: bool
    improve_routes: bool
    cells: Cells
    new_ranks: dict[str, Rank]
    is_reset: bool

    def run(self, worker: Worker) -> Explored:
        """See `Task.run`."""
        if self.is_reset:
            worker.state["ranks"] = {}
        ranks: dict[str, Rank] = worker.state.setdefault("ranks", {})
        ranks.update(self.new_ranks)
        rng = np.random.default_rng([self.seed, 2])
        routes: dict[str, Route] = {}
        steps = 0
        for start in self.returns or [None]:
            steps += self._explore_from(start, worker, rng, ranks, routes)
        return Explored(list(routes.values()), steps)

    def _explore_from(
        self,
        start: Route | None,
        worker: Worker,
        rng: np.random.Generator,
        ranks: dict[str, Rank],
        routes: dict[str, Route],
    ) -> int:
        """Plays one trajectory and returns its number of steps."""
        env = worker.env
        if start is None:
            _, info = env.reset(seed=self.seed)
            score, steps_before = 0.0, 0
        else:
            _, info = env.restore_state(EnvState.from_bytes(start.state))
            score, steps_before = start.score, start.steps
        env.reseed(int(rng.integers(2**31)))
        worker.policy.begin(rng)
        step = 0
        lives = info["lives"]
        while True:
            frame = env.frame if self.cells.needs_frame else None
            key = self.cells.key(info["ram"], frame)
            rank = (score, info["lives"], -(steps_before + step))
            if key not in ranks or (self.improve_routes and rank > ranks[key]):
                ranks[key] = rank
                room = int(info["ram"][worker.room_byte]) if worker.room_byte is not None else 0
                state = env.get_state().to_bytes()
                routes[key] = Route(key, room, score, info["lives"], steps_before + step, state)
            if step == self.trajectory_steps:
                break
            reward, terminated, truncated, info = env.advance(worker.policy.act(_BLANK))
            score += reward
            step += 1
            if terminated or truncated or (self.end_on_life_loss and info["lives"] < lives):
                break
        return step


class ExploreScheduler:
    """Explores until enough steps were played.

    Attributes:
        archive: The cells that are known so far.
    """

    def __init__(
        self,
        archive: Archive,
        config: GoExploreConfig,
        seed: int,
        path: Path,
        show: Callable[[Archive], None],
    ) -> None:
        """Continues with an archive, which is saved to `path` now and then.

        Args:
            archive: The cells that are known already.
            config: The settings.
            seed: Seeds the choice of cells and the actions.
            path: File of the archive.
            show: Called with the archive after every task.
        """
        self.archive = archive
        self._show = show
        self._config = config
        self._path = path
        self._rng = np.random.default_rng([seed, archive.explored_steps, 3])
        self._unknown: dict[int, dict[str, Rank]] = {}
        self._resets: set[int] = set()
        self._new_cells = 0
        self._steps_at_adaptation = archive.explored_steps
        self._saved_steps = archive.explored_steps

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        if self.archive.explored_steps >= self._config.explore_steps:
            return None
        if worker not in self._unknown:
            self._unknown[worker] = self.archive.ranks()
        new_ranks, self._unknown[worker] = self._unknown[worker], {}
        is_reset = worker in self._resets
        self._resets.discard(worker)
        share = self._config.frontier_share
        known = len(self.archive) > 0
        returns = self.archive.choose(_RETURNS_PER_TASK, self._rng, share) if known else []
        return Explore(
            returns=returns,
            seed=int(self._rng.integers(2**31)),
            trajectory_steps=self._config.trajectory_steps,
            end_on_life_loss=self._config.end_on_life_loss,
            improve_routes=self._config.improve_routes,
            cells=self.archive.cells,
            new_ranks=new_ranks,
            is_reset=is_reset,
        )

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Explored)
        for route in result.routes:
            self._new_cells += self.archive.add(route)
            for new_ranks in self._unknown.values():
                new_ranks[route.key] = route.rank
        self.archive.explored_steps += result.steps
        self._adapt()
        self._show(self.archive)
        if self.archive.explored_steps - self._saved_steps >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Saves the archive."""
        self.archive.save(self._path)
        self._saved_steps = self.archive.explored_steps

    def _adapt(self) -> None:
        steps = self.archive.explored_steps - self._steps_at_adaptation
        cells = self.archive.cells
        if steps < _ADAPT_EVERY or not isinstance(cells, PixelCells):
            return
        adapted = cells.adapted(self._new_cells, steps)
        self._new_cells = 0
        self._steps_at_adaptation = self.archive.explored_steps
        if adapted == cells:
            return
        self.archive.change_cells(adapted)
        for worker in self._unknown:
            self._unknown[worker] = self.archive.ranks()
            self._resets.add(worker)


def open_archive(path: Path, game: str, cells: str) -> Archive:
    """Loads an archive, or makes an empty one where there is no file."""
    definition = make_cells(game, cells)
    return Archive.load(path, definition) if path.exists() else Archive(definition)
