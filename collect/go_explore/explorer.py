"""Go-Explore: find the places that `worldtokens.collect.go_explore.recorder` then records from.

Ecoffet et al. 2021, "First return, then explore": keep an archive of cells with the emulator's
state, return to one of them by restoring it, explore from there, keep what is new. Random play
never leaves the first room of Montezuma's Revenge; this sees most of the pyramid in minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect.go_explore.archive import Archive, Rank, Route
from worldtokens.collect.go_explore.cells import Cells, PixelCells, make_cells
from worldtokens.collect.workers import Task, Worker
from worldtokens.envs import EnvState

GO_EXPLORE = "go_explore"
_RETURNS_PER_TASK = 32
_ADAPT_EVERY = 5_000
_SAVE_EVERY = 100_000
# The policy that explores looks at nothing, so no frame is built for it.
_BLANK = np.zeros((1, 1, 3), np.uint8)


@dataclass
class GoExploreConfig:
    """The keys of configs/policy/go_explore.yaml.

    Attributes:
        name: "go_explore".
        explore_steps: steps of exploration, all workers together, before recording begins.
        trajectory_steps: steps played after each return.
        mean_hold: steps for which an action is held, on average.
        end_on_life_loss: a trajectory ends when a life is lost. What follows a death only wastes
            lives and steps: with this the same steps find about twice as many rooms.
        improve_routes: a better route (higher score, more lives, fewer steps) replaces the one
            that a cell has. Otherwise the first stays, which keeps different histories alive:
            with the best ones alone every cell soon descends from one lucky game.
        frontier_share: share of the returns that go where a known part of a room begins that was
            not reached yet with what is carried now; see `Archive.choose`.
        cells: "auto", "ram" or "pixels", see `make_cells`.
        segment_steps: steps of each episode recorded from a restored cell.
        from_reset_share: share of episodes that are whole games from a reset; they are longer.
    """

    name: str
    explore_steps: int
    trajectory_steps: int
    mean_hold: float
    end_on_life_loss: bool
    improve_routes: bool
    frontier_share: float
    cells: str
    segment_steps: int
    from_reset_share: float

    def __post_init__(self) -> None:
        """Check ranges; raises ValueError."""
        for field, low in (
            ("explore_steps", 0),
            ("trajectory_steps", 1),
            ("segment_steps", 1),
        ):
            value = getattr(self, field)
            if not isinstance(value, int) or value < low:
                raise ValueError(
                    f"policy.{field} must be an integer of at least {low}, got {value!r}."
                )
        for field in ("frontier_share", "from_reset_share"):
            share = getattr(self, field)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"policy.{field} must be in [0, 1], got {share!r}.")


@dataclass(frozen=True)
class Found:
    """What an exploration task found.

    Attributes:
        routes: to cells that are new or were reached better than the worker knew.
        steps: steps played.
    """

    routes: list[Route]
    steps: int


@dataclass(frozen=True)
class Explore:
    """Returns to some cells and explores from each.

    Attributes:
        returns: where to; an empty list starts at a reset.
        seed: seeds the actions.
        trajectory_steps: steps after each return.
        end_on_life_loss: see `GoExploreConfig`.
        improve_routes: see `GoExploreConfig`.
        cells: how cells are told apart.
        news: ranks of routes that this worker may not know of yet.
        forget: news are everything there is; cells are told apart in a new way.
    """

    returns: list[Route]
    seed: int
    trajectory_steps: int
    end_on_life_loss: bool
    improve_routes: bool
    cells: Cells
    news: dict[str, Rank]
    forget: bool

    def run(self, worker: Worker) -> Found:
        """See `Task.run`."""
        if self.forget:
            worker.memory["ranks"] = {}
        ranks: dict[str, Rank] = worker.memory.setdefault("ranks", {})
        ranks.update(self.news)
        rng = np.random.default_rng([self.seed, 2])
        found: dict[str, Route] = {}
        steps = 0
        for start in self.returns or [None]:
            steps += self._explore_from(start, worker, rng, ranks, found)
        return Found(list(found.values()), steps)

    def _explore_from(
        self,
        start: Route | None,
        worker: Worker,
        rng: np.random.Generator,
        ranks: dict[str, Rank],
        found: dict[str, Route],
    ) -> int:
        """Play one trajectory and return its steps."""
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
                found[key] = Route(key, room, score, info["lives"], steps_before + step, state)
            if step == self.trajectory_steps:
                break
            reward, terminated, truncated, info = env.advance(worker.policy.act(_BLANK))
            score += reward
            step += 1
            if terminated or truncated or (self.end_on_life_loss and info["lives"] < lives):
                break
        return step


class ExploreScheduler:
    """Explores until the archive has cost enough steps.

    Attributes:
        archive: what was found so far.
    """

    def __init__(
        self,
        archive: Archive,
        config: GoExploreConfig,
        seed: int,
        path: Path,
        show: Callable[[Archive], None],
    ) -> None:
        """Go on with an archive, which is saved to `path` now and then.

        Args:
            archive: what is known already.
            config: how to explore.
            seed: seeds the choice of cells and the actions.
            path: where the archive lies.
            show: called with the archive after every task.
        """
        self.archive = archive
        self._show = show
        self._config = config
        self._path = path
        self._rng = np.random.default_rng([seed, archive.explored_steps, 3])
        self._unknown: dict[int, dict[str, Rank]] = {}
        self._forgets: set[int] = set()
        self._new_cells = 0
        self._steps_at_adaptation = archive.explored_steps
        self._saved_steps = archive.explored_steps

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        if self.archive.explored_steps >= self._config.explore_steps:
            return None
        if worker not in self._unknown:
            self._unknown[worker] = self.archive.ranks()
        news, self._unknown[worker] = self._unknown[worker], {}
        forget = worker in self._forgets
        self._forgets.discard(worker)
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
            news=news,
            forget=forget,
        )

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Found)
        for route in result.routes:
            self._new_cells += self.archive.add(route)
            for news in self._unknown.values():
                news[route.key] = route.rank
        self.archive.explored_steps += result.steps
        self._adapt()
        self._show(self.archive)
        if self.archive.explored_steps - self._saved_steps >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Save the archive."""
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
            self._forgets.add(worker)


def open_archive(path: Path, game: str, cells: str) -> Archive:
    """Load an archive, or start an empty one where there is none."""
    made = make_cells(game, cells)
    return Archive.load(path, made) if path.exists() else Archive(made)
