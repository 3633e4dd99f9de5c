"""The archive of cells that Go-Explore returns to."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect.dataset.shards import write_durably
from worldtokens.collect.go_explore.cells import Cells, PixelCells
from worldtokens.collect.go_explore.frontier import Frontier
from worldtokens.envs import EnvState

FORMAT_VERSION = 2
_HELDOUT_ONE_IN = 8


@dataclass(frozen=True)
class Route:
    """The best known way to a cell.

    Attributes:
        key: the cell's name.
        room: the room it lies in, 0 in games without rooms.
        score: sum of the rewards from the reset to here.
        lives: lives left.
        steps: steps from the reset to here.
        state: the environment's state, `EnvState.to_bytes`.
    """

    key: str
    room: int
    score: float
    lives: int
    steps: int
    state: bytes

    @property
    def rank(self) -> "Rank":
        """How good it is; the greater tuple is the better route."""
        return (self.score, self.lives, -self.steps)


Rank = tuple[float, int, int]


class Archive:
    """All cells found, each with its best route and how often it was returned to.

    Attributes:
        cells: how cells are told apart.
        explored_steps: steps played to find them.
    """

    def __init__(self, cells: Cells) -> None:
        """Start empty."""
        self.cells = cells
        self.explored_steps = 0
        self._routes: dict[str, Route] = {}
        self._returns: dict[str, int] = {}
        self._frontier = Frontier(cells)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._routes)

    @property
    def routes(self) -> list[Route]:
        """All routes, in the order in which their cells were found."""
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
        """Take a route if its cell is new or it beats the one known; tells whether it was new."""
        known = self._routes.get(route.key)
        if known is None or route.rank > known.rank:
            self._routes[route.key] = route
        if known is None:
            self._frontier.add(route.key)
        return known is None

    def ranks(self) -> dict[str, Rank]:
        """Return the rank of each cell's route."""
        return {key: route.rank for key, route in self._routes.items()}

    def choose(
        self, count: int, rng: np.random.Generator, frontier_share: float = 0.5
    ) -> list[Route]:
        """Draw cells to return to, and count the returns.

        First a group of cells (`Cells.group`: one room with the same things carried) is drawn with
        weight 1 / sqrt(returns to the group + 1), then one of its cells with weight
        1 / sqrt(returns to the cell + 1). Counting returns rather than sightings, and groups
        before cells, makes a room just found, or a key just taken, the next thing to explore,
        however many cells the rooms before it have.

        Args:
            count: how many.
            rng: draws them.
            frontier_share: share of the returns that go to cells at the frontier of their group,
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

    def starts(self, heldout: bool) -> dict[int, list[Route]]:
        """Return the cells where training, or held-out, segments may start, by room.

        A cell's name alone decides, so jobs that know nothing of each other agree.
        """
        by_room: dict[int, list[Route]] = {}
        for route in sorted(self._routes.values(), key=lambda route: route.key):
            if is_heldout_cell(route.key) == heldout:
                by_room.setdefault(route.room, []).append(route)
        return by_room

    def change_cells(self, cells: Cells) -> None:
        """Tell cells apart in another way; each new cell keeps its best route."""
        routes = self.routes
        self.cells = cells
        self._routes = {}
        self._returns = {}
        self._frontier = Frontier(cells)
        for route in routes:
            frame = EnvState.from_bytes(route.state).frame
            key = cells.key(np.zeros(128, np.uint8), frame)
            self.add(Route(key, route.room, route.score, route.lives, route.steps, route.state))

    def save(self, path: Path) -> None:
        """Write the archive so that its name never shows half of it.

        Raises:
            OSError: it cannot be written.
        """
        routes = self.routes
        header = {
            "format_version": FORMAT_VERSION,
            "explored_steps": self.explored_steps,
            "fineness": self.cells.fineness if isinstance(self.cells, PixelCells) else None,
            "keys": [route.key for route in routes],
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
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content.getvalue())

    @classmethod
    def load(cls, path: Path, cells: Cells) -> "Archive":
        """Read an archive.

        Args:
            path: the file.
            cells: how cells are told apart when the file does not say otherwise.

        Raises:
            ValueError: the file is damaged; says what to do.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
            header = json.loads(content["header"].tobytes())
            if header["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format version {header['format_version']}")
            if isinstance(cells, PixelCells) and header["fineness"] is not None:
                cells = PixelCells(header["fineness"])
            archive = cls(cells)
            archive.explored_steps = header["explored_steps"]
            ends = np.cumsum(content["state_sizes"]).tolist()
            states = content["states"].tobytes()
            columns = [
                content[n].tolist() for n in ("rooms", "scores", "lives", "steps", "returns")
            ]
            start = 0
            for key, end, room, score, lives, steps, returns in zip(
                header["keys"], ends, *columns, strict=True
            ):
                archive.add(Route(key, room, score, lives, steps, states[start:end]))
                archive._returns[key] = returns
                start = end
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"archive {path} cannot be read ({error}); delete it to explore afresh."
            ) from None
        return archive


def _by_groups(weights: np.ndarray, returns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return chances, float64 (cells,), that first choose a group and then a cell by its weight.

    Args:
        weights: of each cell within its group, float64 (cells,); groups of no weight are left out.
        returns: how often each cell was returned to.
        group: number of each cell's group.
    """
    totals = np.bincount(group, weights)
    if not totals.any():
        return np.zeros(len(weights))
    shares = np.divide(weights, totals[group], out=np.zeros_like(weights), where=totals[group] > 0)
    chances = shares / np.sqrt(np.bincount(group, returns)[group] + 1.0)
    return chances / chances.sum()


def is_heldout_cell(key: str) -> bool:
    """Tell whether only held-out segments may start from a cell: about one in eight."""
    digest = 0
    for character in key.encode():
        digest = (digest * 31 + character) % 1_000_003
    return digest % _HELDOUT_ONE_IN == 0
