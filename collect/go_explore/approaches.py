"""Approaches: the ways to events, from saved states shortly before them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from worldtokens.collect.dataset.events import KINDS, Event, Kind
from worldtokens.collect.go_explore.cells import is_heldout_cell
from worldtokens.collect.go_explore.paths import MAX_LEAD, Path

_PER_EVENT = 16
# About 5 kB each for most games.
_PER_KIND = 1500
_CELLS_TO_SPLIT = 3
_WEIGHTS: dict[Kind, int] = {"reward": 3, "life_lost": 1, "end": 1, "scene": 1}


@dataclass(frozen=True)
class Approach:
    """The way to an event and past it.

    Attributes:
        event: The event.
        start: Name of the cell where the trajectory that met the event began, "" for a reset.
        path: A saved state before the event, and the actions from there on.
        event_step: Index of the action of the event's own step.
    """

    event: Event
    start: str
    path: Path
    event_step: int

    @property
    def lead(self) -> int:
        """Steps from the beginning of the path to the event, its own step included."""
        return self.event_step + 1


LeadTable = list[list[Any]]


class Wanted:
    """Decides which approaches to an event are kept: few, from different starts, long ones."""

    def __init__(self) -> None:
        """Starts without approaches."""
        self._leads: dict[Event, dict[str, int]] = {}

    def take(self, event: Event, start: str, lead: int) -> tuple[bool, str | None]:
        """Takes an approach if it is wanted.

        Returns:
            Whether it was taken, and the start of the approach that it replaces, if any.
        """
        lead = min(lead, MAX_LEAD)
        leads = self._leads.setdefault(event, {})
        replaced = None
        if start in leads:
            if lead <= leads[start]:
                return False, None
            replaced = start
        elif len(leads) >= _PER_EVENT:
            replaced = min(leads, key=lambda known: leads[known])
            if lead <= leads[replaced]:
                return False, None
        if replaced is not None:
            del leads[replaced]
        leads[start] = lead
        return True, replaced

    def table(self) -> LeadTable:
        """Returns what it decides by, as lists for JSON."""
        return [
            [event.kind, event.value, event.scene, event.cell, list(leads.items())]
            for event, leads in self._leads.items()
        ]

    def restore(self, table: LeadTable) -> None:
        """Goes on from what `table` returned."""
        self._leads = {
            Event(kind, float(value), scene, cell): {start: lead for start, lead in leads}
            for kind, value, scene, cell, leads in table
        }


ApproachTree = dict[Kind, dict[tuple[float, int], dict[str, list[Approach]]]]


class Approaches:
    """A bounded number of approaches, evenly over values, scenes and cells of each kind.

    Attributes:
        wanted: Decides which are kept.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self.wanted = Wanted()
        self._by_kind: dict[Kind, dict[tuple[Event, str], Approach]] = {kind: {} for kind in KINDS}

    def __len__(self) -> int:
        """Returns the number of approaches."""
        return sum(len(known) for known in self._by_kind.values())

    def __iter__(self) -> Iterator[Approach]:
        """Iterates over all approaches, kind after kind."""
        for known in self._by_kind.values():
            yield from known.values()

    def add(self, approach: Approach) -> None:
        """Keeps an approach if it is wanted."""
        event, start = approach.event, approach.start
        taken, replaced = self.wanted.take(event, start, approach.lead)
        if not taken:
            return
        known = self._by_kind[event.kind]
        if replaced is not None:
            known.pop((event, replaced), None)
        known[event, start] = approach
        # Room for some more, so that the whole is not gone through at every addition.
        if len(known) > _PER_KIND * 3 // 2:
            self._by_kind[event.kind] = _trim(known, _PER_KIND)


def heldout_cells(approaches: Iterable[Approach], is_whole_job: bool) -> set[str]:
    """Chooses the cells whose events are for held-out segments alone.

    Args:
        approaches: All approaches.
        is_whole_job: Whether no other process draws from other approaches at the same time. Then
            the events of each kind, value and scene have a held-out cell where they have three
            cells; otherwise only a cell's name decides.
    """
    cells: dict[tuple[Kind, float, int], set[str]] = {}
    for approach in approaches:
        event = approach.event
        cells.setdefault((event.kind, event.value, event.scene), set()).add(event.cell)
    heldout = {cell for group in cells.values() for cell in group if is_heldout_cell(cell)}
    for _, group in sorted(cells.items()) if is_whole_job else ():
        if len(group) >= _CELLS_TO_SPLIT and not group & heldout:
            heldout.add(min(group, key=lambda cell: crc32(cell.encode())))
    return heldout


def approach_tree(approaches: Iterable[Approach]) -> ApproachTree:
    """Returns approaches by kind, value and scene, and cell."""
    tree: ApproachTree = {}
    for approach in sorted(approaches, key=_order):
        event = approach.event
        cells = tree.setdefault(event.kind, {}).setdefault((event.value, event.scene), {})
        cells.setdefault(event.cell, []).append(approach)
    return tree


def draw_approach(tree: ApproachTree, rng: np.random.Generator) -> Approach:
    """Draws a kind, then evenly a value and scene, a cell, an approach: rare ones come often.

    Rewards are drawn three times as often as each other kind: held random actions alone lose ten
    lives for every reward.
    """

    def draw(choices: Iterable):
        choices = list(choices)
        return choices[int(rng.integers(len(choices)))]

    groups = tree[draw(kind for kind in tree for _ in range(_WEIGHTS[kind]))]
    by_cell = groups[draw(groups)]
    return draw(by_cell[draw(by_cell)])


def _trim(
    known: dict[tuple[Event, str], Approach], count: int
) -> dict[tuple[Event, str], Approach]:
    """Returns `count` approaches: one of each value and scene in turn, from its cells in turn."""
    queues: dict[tuple[float, int], dict[str, list[tuple[Event, str]]]] = {}
    # In an order that has nothing to do with when they were found, late ones stay as often.
    for key in sorted(known, key=lambda key: crc32(f"{key[0].name} {key[1]}".encode())):
        cells = queues.setdefault((key[0].value, key[0].scene), {})
        cells.setdefault(key[0].cell, []).append(key)
    ordered = [_in_turn(list(cells.values())) for cells in queues.values()]
    return {key: known[key] for key in _in_turn(ordered)[:count]}


def _in_turn(queues: list[list[tuple[Event, str]]]) -> list[tuple[Event, str]]:
    longest = max(len(queue) for queue in queues)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _order(approach: Approach) -> tuple[str, float, int, str, str]:
    event = approach.event
    return event.kind, event.value, event.scene, event.cell, approach.start
