"""The frontier: where a known part of a room begins that was not reached with what is carried now.

Ecoffet et al. 2021, "First return, then explore", prefer cells that lack neighbours. Most cells
lack some for ever, since walls are beside them; here only places count at which the player was seen
before, carrying other things: with the key in hand the way to the door is known, but not yet gone.
"""

import numpy as np

from worldtokens.collect.go_explore.cells import Cells


class Frontier:
    """Tells which cells of an archive lie at the frontier of their group."""

    def __init__(self, cells: Cells) -> None:
        """Start without any."""
        self._cells = cells
        self._places: set[str] = set()
        # Of each cell those beside it that are not known yet, with their places.
        self._missing: dict[str, list[tuple[str, str]]] = {}

    def add(self, key: str) -> None:
        """Take a new cell."""
        self._places.add(self._cells.place(key))
        beside = self._cells.neighbours(key)
        self._missing[key] = [(to, self._cells.place(to)) for to in beside]

    def mask(self) -> np.ndarray:
        """Return whether each cell is at the frontier, bool (cells,), in the order of `add`."""
        for key, missing in self._missing.items():
            if any(to in self._missing for to, _ in missing):
                self._missing[key] = [pair for pair in missing if pair[0] not in self._missing]
        return np.array(
            [any(place in self._places for _, place in m) for m in self._missing.values()], bool
        )
