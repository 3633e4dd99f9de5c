"""The frontier: cells beside positions that were reached before, but not with the same things.

Ecoffet et al. 2021, "First return, then explore", prefer cells that lack neighbours. Most cells
always lack some, since they lie at walls. Here a missing neighbour counts only if the player was
seen at its position before, carrying other things: once he has the key, the way to the door is
known, but its cells with the key are missing.
"""

import numpy as np

from worldtokens.collect.go_explore.cells import Cells


class Frontier:
    """Tells which cells of an archive lie at the frontier of their group."""

    def __init__(self, cells: Cells) -> None:
        """Starts without cells."""
        self._cells = cells
        self._positions: set[str] = set()
        # Of each cell the neighbours that are missing, with their positions.
        self._missing: dict[str, list[tuple[str, str]]] = {}

    def add(self, key: str) -> None:
        """Takes a new cell."""
        self._positions.add(self._cells.position(key))
        neighbours = self._cells.neighbours(key)
        self._missing[key] = [(to, self._cells.position(to)) for to in neighbours]

    def mask(self) -> np.ndarray:
        """Returns whether each cell is at the frontier, bool (cells,), in the order of `add`."""
        for key, missing in self._missing.items():
            if any(to in self._missing for to, _ in missing):
                self._missing[key] = [pair for pair in missing if pair[0] not in self._missing]
        return np.array(
            [
                any(position in self._positions for _, position in missing)
                for missing in self._missing.values()
            ],
            bool,
        )
