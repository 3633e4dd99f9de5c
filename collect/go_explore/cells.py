"""Cells: groups of states that Go-Explore treats as one.

Ecoffet et al. 2021, "First return, then explore": a cell must be coarse enough to be reached again
and fine enough to show progress.
"""

import hashlib
import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from worldtokens.envs import ram_labels

_HELDOUT_ONE_IN = 8

# Labels that define cells in any game, and how many of their values count as one.
_SCENE = ("room", "level")
_EXACT = (*_SCENE, "inventory")
_GRID = {"player_x": 8, "player_y": 8, "player_column": 1, "ball_x": 16, "ball_y": 16}


@dataclass(frozen=True)
class RamCells:
    """Cells from labelled bytes of the RAM.

    Attributes:
        bytes_: Indices of the bytes.
        divisors: How many of each byte's values count as one.
        num_exact: Number of leading bytes that define the group: room and things carried.
        num_scene: Number of leading bytes that define the room.
    """

    bytes_: tuple[int, ...]
    divisors: tuple[int, ...]
    num_exact: int = 0
    num_scene: int = 0

    needs_frame = False

    def key(self, ram: np.ndarray, frame: np.ndarray | None) -> str:
        """Returns the cell's name for the RAM, uint8 (128,)."""
        return bytes(
            int(ram[byte]) // divisor
            for byte, divisor in zip(self.bytes_, self.divisors, strict=True)
        ).hex()

    def group(self, key: str) -> str:
        """Returns the part of a cell's name that cells of one room and inventory share."""
        return key[: 2 * self.num_exact]

    def position(self, key: str) -> str:
        """Returns the part of a cell's name that does not depend on the things carried."""
        return key[: 2 * self.num_scene] + key[2 * self.num_exact :]

    def neighbours(self, key: str) -> list[str]:
        """Returns the names of the cells beside this one, in its group."""
        exact, grid = bytes.fromhex(key)[: self.num_exact], bytes.fromhex(key)[self.num_exact :]
        steps = itertools.product((-1, 0, 1), repeat=len(grid))
        moved = (
            [at + by for at, by in zip(grid, step, strict=True)] for step in steps if any(step)
        )
        return [(exact + bytes(to)).hex() for to in moved if min(to) >= 0 and max(to) < 256]


@dataclass(frozen=True)
class PixelCells:
    """Cells from the frame, shrunk and with few levels of grey.

    Attributes:
        fineness: An index into `GRIDS`, from coarse to fine.
    """

    fineness: int

    needs_frame = True

    # (width, height, levels of grey); the paper's without adaptation is (11, 8, 8).
    GRIDS = (
        (3, 3, 4), (4, 4, 4), (6, 5, 6), (8, 6, 6), (11, 8, 8), (14, 10, 8), (18, 14, 10),
        (24, 18, 12),
    )  # fmt: skip
    START = 6

    def key(self, ram: np.ndarray, frame: np.ndarray | None) -> str:
        """Returns the cell's name for the frame, uint8 (H, W, 3)."""
        assert frame is not None
        width, height, levels = self.GRIDS[self.fineness]
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        coarse = small.astype(np.uint16) * levels // 256
        return hashlib.blake2b(coarse.astype(np.uint8).tobytes(), digest_size=8).hexdigest()

    def group(self, key: str) -> str:
        """Returns one group for all cells: pixels do not show the room."""
        return ""

    def position(self, key: str) -> str:
        """Returns the cell's name: pixels do not show the things carried."""
        return key

    def neighbours(self, key: str) -> list[str]:
        """Returns nothing: pixels do not show which cells are neighbours."""
        return []

    def adapted(self, new_cells: int, steps: int) -> "PixelCells":
        """Returns cells whose fineness fits the rate of discovery.

        With more than one new cell in 10 steps hardly any cell is reached twice; with fewer than
        one in 500 steps hardly anything counts as new.
        """
        rate = new_cells / steps
        if rate > 0.1:
            return PixelCells(max(self.fineness - 1, 0))
        if rate < 0.002:
            return PixelCells(min(self.fineness + 1, len(self.GRIDS) - 1))
        return self


Cells = RamCells | PixelCells


def make_cells(game: str, source: str) -> Cells:
    """Chooses the definition of cells.

    Args:
        game: The game's name.
        source: "ram", "pixels", or "auto": RAM where the game labels the player's position.

    Raises:
        ValueError: An unknown source, or "ram" for a game without labels.
    """
    if source not in ("auto", "ram", "pixels"):
        raise ValueError(f"policy.cells: expected auto, ram or pixels, got {source!r}")
    labels = ram_labels(game)
    exact = {label: 1 for label in _EXACT if label in labels}
    divisors = exact | {label: divisor for label, divisor in _GRID.items() if label in labels}
    has_position = any(label in divisors for label in _GRID)
    if source == "ram" and not has_position:
        raise ValueError(
            f"policy.cells: expected pixels, got 'ram'; {game} has no labelled bytes for the "
            "player's position, choose policy.cells=pixels"
        )
    if source == "pixels" or not has_position:
        return PixelCells(PixelCells.START)
    return RamCells(
        tuple(labels[label] for label in divisors),
        tuple(divisors.values()),
        num_exact=len(exact),
        num_scene=len(exact.keys() & set(_SCENE)),
    )


def is_heldout_cell(key: str) -> bool:
    """Tells whether only held-out segments may start from a cell: about one in eight."""
    digest = 0
    for character in key.encode():
        digest = (digest * 31 + character) % 1_000_003
    return digest % _HELDOUT_ONE_IN == 0
