"""Schedulers of exploration: one for an archive, and one for several archives at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from worldtokens.collect.go_explore.archive import Archive, Rank, Route
from worldtokens.collect.go_explore.cells import PixelCells, make_cells
from worldtokens.collect.go_explore.config import GoExploreConfig
from worldtokens.collect.go_explore.explorer import Explore, Explored
from worldtokens.collect.tasks import Task

_RETURNS_PER_TASK = 32
_ADAPT_EVERY = 5_000
_SAVE_EVERY = 100_000
# With events wanted, the first task and every 16th after it also play a game to its end:
# some 4% of the steps.
_GAME_EVERY = 16
_GAME_STEPS = 2_000


class ExploreScheduler:
    """Explores until enough steps were played.

    Attributes:
        archive: The cells that are known so far.
        number: Number of the exploration.
    """

    def __init__(
        self,
        archive: Archive,
        config: GoExploreConfig,
        seed: int,
        path: Path,
        num_steps: int,
        number: int = 0,
    ) -> None:
        """Continues with an archive, which is saved to `path` now and then.

        Args:
            archive: The cells that are known already.
            config: The settings.
            seed: Seeds the choice of cells and the actions.
            path: File of the archive.
            num_steps: Steps to explore, those included that the archive has.
            number: Number of the exploration.
        """
        self.archive = archive
        self.number = number
        self._num_steps = num_steps
        self._num_tasks = 0
        self._config = config
        self._path = path
        self._rng = np.random.default_rng([seed, archive.explored_steps, 3])
        # Tasks whose results are missing, and those of them that an earlier process left.
        self._pending: list[Explore] = []
        self._left: list[dict[str, Any]] = []
        self._unknown: dict[int, dict[str, Rank]] = {}
        self._resets: set[int] = set()
        self._new_cells = 0
        self._steps_at_adaptation = archive.explored_steps
        self._saved_steps = archive.explored_steps
        if archive.progress is not None:
            self._restore(archive.progress)

    @property
    def is_complete(self) -> bool:
        """Whether all steps were played, or as many scenes are known as are wanted."""
        scenes = self._config.explore_scenes
        return self.archive.explored_steps >= self._num_steps or (
            scenes is not None and len(self.archive.rooms) >= scenes
        )

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        if self.is_complete:
            return None
        if worker not in self._unknown:
            self._unknown[worker] = self.archive.ranks()
        new_ranks, self._unknown[worker] = self._unknown[worker], {}
        is_reset = worker in self._resets
        self._resets.discard(worker)
        returns, seed, game_steps = self._draw()
        task = Explore(
            exploration=self.number,
            returns=returns,
            seed=seed,
            trajectory_steps=self._config.trajectory_steps,
            end_on_life_loss=self._config.end_on_life_loss,
            improve_routes=self._config.improve_routes,
            cells=self.archive.cells,
            new_ranks=new_ranks,
            is_reset=is_reset,
            keeps_events=self._config.event_share > 0,
            game_steps=game_steps,
        )
        self._pending.append(task)
        return task

    def _draw(self) -> tuple[list[Route], int, int]:
        """Returns where a task returns to, its seed and its `game_steps`."""
        if self._left:
            left = self._left.pop(0)
            returns = self.archive.find(left["returns"])
            if len(returns) == len(left["returns"]):
                return returns, left["seed"], left["game_steps"]
        share = self._config.frontier_share
        known = len(self.archive) > 0
        returns = self.archive.choose(_RETURNS_PER_TASK, self._rng, share) if known else []
        self._num_tasks += 1
        plays_a_game = self._config.event_share > 0 and self._num_tasks % _GAME_EVERY == 1
        return returns, int(self._rng.integers(2**31)), _GAME_STEPS if plays_a_game else 0

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Explored)
        self._pending = [task for task in self._pending if task.seed != result.seed]
        for route in result.routes:
            self._new_cells += self.archive.add(route)
            for new_ranks in self._unknown.values():
                new_ranks[route.key] = route.rank
        for approach in result.approaches:
            self.archive.approaches.add(approach)
        self.archive.explored_steps += result.steps
        self._adapt()
        if self.archive.explored_steps - self._saved_steps >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Saves the archive, and where the exploration stands.

        A later process goes on exactly: with the same draws, and first with the tasks whose results
        are missing.
        """
        left = [
            {
                "returns": [route.key for route in task.returns],
                "seed": task.seed,
                "game_steps": task.game_steps,
            }
            for task in self._pending
        ]
        self.archive.progress = {
            "generator": self._rng.bit_generator.state,
            "num_tasks": self._num_tasks,
            "new_cells": self._new_cells,
            "steps_at_adaptation": self._steps_at_adaptation,
            "left": left + self._left,
        }
        self.archive.save(self._path)
        self._saved_steps = self.archive.explored_steps

    def _restore(self, progress: dict[str, Any]) -> None:
        try:
            self._rng.bit_generator.state = progress["generator"]
            self._num_tasks = int(progress["num_tasks"])
            self._new_cells = int(progress["new_cells"])
            self._steps_at_adaptation = int(progress["steps_at_adaptation"])
            self._left = list(progress["left"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"archive {self._path} cannot be read ({error}); delete it to explore again"
            ) from None

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


class ExplorationsScheduler:
    """Runs several explorations that know nothing of each other, side by side.

    A worker goes on with its exploration until that is complete, then joins the one that the
    fewest workers are at.
    """

    def __init__(self, explorations: list[ExploreScheduler], show: Callable[[], None]) -> None:
        """Takes explorations 0, 1, 2, ... in the order of their numbers.

        Args:
            explorations: The explorations.
            show: Called after every task.
        """
        self._explorations = explorations
        self._show = show
        self._chosen: dict[int, int] = {}

    def next_task(self, worker: int) -> Task | None:
        """See `Scheduler.next_task`."""
        chosen = self._chosen.pop(worker, None)
        going_on = [e.number for e in self._explorations if not e.is_complete]
        if not going_on:
            return None
        if chosen not in going_on:
            at_work = list(self._chosen.values())
            chosen = min(going_on, key=lambda number: (at_work.count(number), number))
        self._chosen[worker] = chosen
        return self._explorations[chosen].next_task(worker)

    def receive(self, result: object) -> None:
        """See `Scheduler.receive`."""
        assert isinstance(result, Explored)
        self._explorations[result.exploration].receive(result)
        self._show()

    def save(self) -> None:
        """Saves the archives that have cells."""
        for exploration in self._explorations:
            if len(exploration.archive):
                exploration.save()


def open_archive(path: Path, game: str, cells: str) -> Archive:
    """Loads an archive, or makes an empty one where there is no file."""
    definition = make_cells(game, cells)
    return Archive.load(path, definition) if path.exists() else Archive(definition)
