"""How often a dataset's events were seen, and how often they were missed narrowly."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from worldtokens.collect.dataset.episodes import EpisodeDataset, is_heldout_seed
from worldtokens.collect.dataset.events import KINDS, Kind, find_events
from worldtokens.collect.go_explore.cells import RamCells, make_cells

_SHOWN = 12
_SHOWN_RARE = 6


@dataclass
class EventCount:
    """One kind, value and scene of event; see `Event` for these.

    A near miss is a visit to the cell of an event, by the frames between entering and leaving it,
    in which none of the row's events happened. Without labelled cells there are none.

    Attributes:
        kind: Its kind.
        value: Its value.
        scene: Scene before it.
        train: How often it was seen in training episodes.
        heldout: How often it was seen in held-out episodes.
        near_misses: Near misses, in all episodes.
        places: How often it was seen in each cell, by the cell's name, most first.
    """

    kind: Kind
    value: float
    scene: int
    train: int = 0
    heldout: int = 0
    near_misses: int | None = None
    places: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How often it was seen."""
        return self.train + self.heldout


def count_events(dataset: EpisodeDataset) -> list[EventCount]:
    """Counts the events of a dataset by kind, value and scene; kind after kind, most first."""
    heldout = np.repeat(
        [is_heldout_seed(info.seed) for info in dataset.infos], np.diff(dataset.frame_starts)
    )
    cells = _Cells(dataset)
    counts = []
    for kind, steps in find_events(dataset).items():
        scenes = dataset.scene[steps.frames]
        groups = sorted(set(zip(steps.values.tolist(), scenes.tolist(), strict=True)))
        rows = []
        for value, scene in groups:
            frames = steps.frames[(steps.values == value) & (scenes == scene)]
            held = int(heldout[frames].sum())
            row = EventCount(kind, value, scene, len(frames) - held, held)
            row.near_misses, row.places = cells.near_misses(frames), cells.places(frames)
            rows.append(row)
        counts += sorted(rows, key=lambda row: -row.count)
    return counts


class _Cells:
    """The labelled cell of each frame of a dataset, where the game and the data have them."""

    def __init__(self, dataset: EpisodeDataset) -> None:
        cells = make_cells(dataset.game, "auto")
        ram = dataset.read("ram", 0, dataset.num_frames)
        # Imported episodes have zeros for their RAM.
        self._names: list[str] = []
        if not isinstance(cells, RamCells) or not ram.any():
            return
        rows = ram[:, cells.bytes_] // np.array(cells.divisors, np.uint8)
        names, self._cell = np.unique(rows, axis=0, return_inverse=True)
        self._names = [bytes(row.tolist()).hex() for row in names]
        enters = np.ones(len(rows), np.bool_)
        enters[1:] = self._cell[1:] != self._cell[:-1]
        enters[dataset.frame_starts[:-1]] = True
        self._visit = np.cumsum(enters) - 1
        self._visits = np.bincount(self._cell[enters], minlength=len(names))

    def places(self, frames: np.ndarray) -> dict[str, int]:
        """Returns how many of these frames lie in each cell, most first."""
        if not self._names:
            return {}
        counts = Counter(self._cell[frames].tolist())
        return {self._names[cell]: count for cell, count in counts.most_common()}

    def near_misses(self, frames: np.ndarray) -> int | None:
        """Returns the number of visits to the cells of these frames that hold none of them."""
        if not self._names:
            return None
        visited = self._visits[np.unique(self._cell[frames])].sum()
        return int(visited) - len(np.unique(self._visit[frames]))


def print_events(counts: list[EventCount]) -> None:
    """Prints a table; of a long one the most frequent and the rarest rows of each kind."""
    if not counts:
        print("events           none")
        return
    has_places = any(row.near_misses is not None for row in counts)
    print("events           a scene's value is the next scene, a lost life's the lives left:")
    tail = f" {'cells':>7} {'near misses':>12}" if has_places else ""
    print(f"  {'kind':<10} {'value':>8} {'scene':>6} {'train':>9} {'held out':>9}{tail}")
    for kind in KINDS:
        rows = [row for row in counts if row.kind == kind]
        cut = len(rows) > _SHOWN
        for row in rows[: _SHOWN - _SHOWN_RARE] if cut else rows:
            _print_row(row, has_places)
        if cut:
            print(f"  {'...':<10} {len(rows) - _SHOWN} more, see report.json")
            for row in rows[-_SHOWN_RARE:]:
                _print_row(row, has_places)


def _print_row(row: EventCount, has_places: bool) -> None:
    tail = f" {len(row.places):7} {row.near_misses:12}" if has_places else ""
    print(f"  {row.kind:<10} {row.value:8g} {row.scene:6} {row.train:9} {row.heldout:9}{tail}")
