"""The archive of cells that Go-Explore returns to."""

import io
import json
import pathlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worldtokens.collect.dataset.shards import write_durably
from worldtokens.collect.go_explore.approaches import Approaches
from worldtokens.collect.go_explore.cells import Cells, PixelCells, is_heldout_cell
from worldtokens.collect.go_explore.frontier import Frontier
from worldtokens.collect.go_explore.path_arrays import paths_from_arrays, paths_to_arrays
from worldtokens.collect.go_explore.paths import Path
from worldtokens.common.arrays import load_arrays
from worldtokens.common.digests import with_digest
from worldtokens.envs import EnvState

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Route:
    """The best known way to a cell.

    Attributes:
        key: The cell's name.
        room: The room it lies in, 0 in games without rooms.
        score: Sum of the rewards from the reset to here.
        lives: Lives left.
        steps: Steps from the reset to here.
        state: The environment's state, `EnvState.to_bytes`.
        way: How it was reached in the last steps, where events are wanted.
    """

    key: str
    room: int
    score: float
    lives: int
    steps: int
    state: bytes
    way: Path | None = None

    @property
    def rank(self) -> "Rank":
        """How good it is; the greater tuple is the better route."""
        return (self.score, self.lives, -self.steps)


Rank = tuple[float, int, int]


class Archive:
    """All known cells, each with its best route and the number of returns to it.

    Attributes:
        cells: The definition of cells.
        explored_steps: Steps played to find them.
        approaches: States before the events that were met on the way.
        progress: Where the exploration stands, see `ExploreScheduler`; None in archives of earlier
            versions.
    """

    def __init__(self, cells: Cells) -> None:
        """Starts empty."""
        self.cells = cells
        self.explored_steps = 0
        self.approaches = Approaches()
        self.progress: dict[str, Any] | None = None
        self._routes: dict[str, Route] = {}
        self._returns: dict[str, int] = {}
        self._frontier = Frontier(cells)

    def __len__(self) -> int:
        """Returns the number of cells."""
        return len(self._routes)

    @property
    def routes(self) -> list[Route]:
        """All routes, in the order in which their cells were added."""
        return list(self._routes.values())

    @property
    def rooms(self) -> frozenset[int]:
        """The rooms that cells lie in."""
        return frozenset(route.room for route in self._routes.values())

    @property
    def best_score(self) -> float:
        """The highest score of any route."""
        return max((route.score for route in self._routes.values()), default=0.0)

    def add(self, route: Route) -> bool:
        """Adds a route.

        Where its cell has one already, the better of the two stays.

        Returns:
            Whether the cell is new.
        """
        known = self._routes.get(route.key)
        if known is None or route.rank > known.rank:
            self._routes[route.key] = route
        if known is None:
            self._frontier.add(route.key)
        return known is None

    def ranks(self) -> dict[str, Rank]:
        """Returns the rank of each cell's route."""
        return {key: route.rank for key, route in self._routes.items()}

    def choose(
        self, count: int, rng: np.random.Generator, frontier_share: float = 0.5
    ) -> list[Route]:
        """Draws cells to return to, and counts the returns.

        First a group of cells (`Cells.group`: one room with the same things carried) is drawn with
        weight 1 / sqrt(returns to the group + 1), then one of its cells with weight
        1 / sqrt(returns to the cell + 1). Counting returns rather than sightings, and groups
        before cells, sends most returns to a room that is new, or to a key that was just taken,
        however many cells the other rooms have.

        Args:
            count: How many.
            rng: Draws them.
            frontier_share: Share of the returns that go to cells at the frontier of their group,
                see `Frontier`, while there are any; drawn in the same way.
        """
        keys = list(self._routes)
        returns = np.array([self._returns.get(key, 0) for key in keys], np.float64)
        _, group = np.unique([self.cells.group(key) for key in keys], return_inverse=True)
        weights = 1.0 / np.sqrt(returns + 1.0)
        usual = _by_groups(weights, returns, group)
        frontier = _by_groups(weights * self._frontier.mask(), returns, group)
        chances = (1.0 - frontier_share) * usual + frontier_share * frontier
        drawn = rng.choice(len(keys), size=count, p=chances / chances.sum()).tolist()
        for index in drawn:
            self._returns[keys[index]] = self._returns.get(keys[index], 0) + 1
        return [self._routes[keys[index]] for index in drawn]

    def find(self, keys: list[str]) -> list[Route]:
        """Returns the routes to those of these cells that are known."""
        return [self._routes[key] for key in keys if key in self._routes]

    def starts(self, heldout: bool) -> dict[int, list[Route]]:
        """Returns the cells where training, or held-out, segments may start, by room.

        Only a cell's name decides, so that all jobs of a dataset agree.
        """
        by_room: dict[int, list[Route]] = {}
        for route in sorted(self._routes.values(), key=lambda route: route.key):
            if is_heldout_cell(route.key) == heldout:
                by_room.setdefault(route.room, []).append(route)
        return by_room

    def change_cells(self, cells: Cells) -> None:
        """Changes the definition of cells; each new cell keeps its best route."""
        routes = self.routes
        self.cells = cells
        self._routes = {}
        self._returns = {}
        self._frontier = Frontier(cells)
        for route in routes:
            frame = EnvState.from_bytes(route.state).frame
            key = cells.key(np.zeros(128, np.uint8), frame)
            self.add(replace(route, key=key))

    def save(self, path: pathlib.Path) -> None:
        """Writes the archive whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        routes = self.routes
        header = {
            "format_version": FORMAT_VERSION,
            "explored_steps": self.explored_steps,
            "fineness": self.cells.fineness if isinstance(self.cells, PixelCells) else None,
            "keys": [route.key for route in routes],
            "progress": self.progress,
            "wanted": self.approaches.wanted.table(),
        }
        content = io.BytesIO()
        np.savez(
            content,
            header=np.frombuffer(json.dumps(header).encode(), np.uint8),
            rooms=np.array([route.room for route in routes], np.int64),
            scores=np.array([route.score for route in routes], np.float64),
            lives=np.array([route.lives for route in routes], np.int64),
            steps=np.array([route.steps for route in routes], np.int64),
            returns=np.array([self._returns.get(route.key, 0) for route in routes], np.int64),
            state_sizes=np.array([len(route.state) for route in routes], np.int64),
            states=np.frombuffer(b"".join(route.state for route in routes), np.uint8),
            **paths_to_arrays(  # pyright: ignore[reportArgumentType]
                list(self.approaches), {route.key: route.way for route in routes if route.way}
            ),
        )
        write_durably(path, with_digest(content.getvalue()))

    @classmethod
    def load(cls, path: pathlib.Path, cells: Cells) -> "Archive":
        """Reads an archive.

        Args:
            path: The file.
            cells: The definition of cells where the file has none.

        Raises:
            ValueError: The file is damaged.
            OSError: It cannot be read.
        """
        try:
            content = load_arrays(path)
            header = json.loads(content["header"].tobytes())
            if header["format_version"] != FORMAT_VERSION:
                raise ValueError(
                    f"expected format version {FORMAT_VERSION}, got {header['format_version']}"
                )
            if header["fineness"] is not None:
                cells = PixelCells(header["fineness"])
            archive = cls(cells)
            archive.explored_steps = header["explored_steps"]
            archive.progress = header.get("progress")
            ends = np.cumsum(content["state_sizes"]).tolist()
            states = content["states"].tobytes()
            columns = [
                content[n].tolist() for n in ("rooms", "scores", "lives", "steps", "returns")
            ]
            approaches, ways = paths_from_arrays(content)
            for approach in approaches:
                archive.approaches.add(approach)
            start = 0
            for key, end, room, score, lives, steps, returns in zip(
                header["keys"], ends, *columns, strict=True
            ):
                state = states[start:end]
                archive.add(Route(key, room, score, lives, steps, state, ways.get(key)))
                archive._returns[key] = returns
                start = end
            if "wanted" in header:
                archive.approaches.wanted.restore(header["wanted"])
        except OSError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"archive {path} cannot be read ({error}); delete it to explore again"
            ) from None
        return archive


def _by_groups(weights: np.ndarray, returns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns the probability of each cell if first a group is drawn and then one of its cells.

    Args:
        weights: float64 (cells,), of each cell within its group; a group of weight 0 is not drawn.
        returns: Number of returns to each cell.
        group: Number of each cell's group.

    Returns:
        float64 (cells,); all 0 where no cell has a weight.
    """
    totals = np.bincount(group, weights)
    if not totals.any():
        return np.zeros(len(weights))
    shares = np.divide(weights, totals[group], out=np.zeros_like(weights), where=totals[group] > 0)
    chances = shares / np.sqrt(np.bincount(group, returns)[group] + 1.0)
    return chances / chances.sum()
