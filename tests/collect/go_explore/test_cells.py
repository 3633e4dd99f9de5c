import numpy as np
import pytest

from worldtokens.collect.go_explore.cells import PixelCells, RamCells, make_cells


def test_neighbours_are_beside_within_the_bytes():
    cells = RamCells((0, 1, 2), (1, 1, 1), num_exact=1, num_scene=1)
    assert cells.neighbours("050000") == ["050001", "050100", "050101"]
    assert len(cells.neighbours("050709")) == 8
    assert "05ffff" not in cells.neighbours("05ffff")
    assert len(cells.neighbours("05ffff")) == 3


def test_ram_cells_by_hand():
    cells = make_cells("MontezumaRevenge", "auto")
    assert isinstance(cells, RamCells)
    ram = np.zeros(128, np.uint8)
    ram[3], ram[42], ram[43], ram[65], ram[57] = 5, 17, 240, 2, 0
    # Room, level, inventory, x // 8, y // 8.
    assert cells.key(ram, None) == bytes([5, 0, 2, 2, 30]).hex()
    ram[43] = 241
    assert cells.key(ram, None) == bytes([5, 0, 2, 2, 30]).hex()
    ram[42] = 24
    assert cells.key(ram, None) == bytes([5, 0, 2, 3, 30]).hex()


def test_pixel_cells_see_changes_of_brightness():
    cells = PixelCells(0)
    frame = np.zeros((64, 64, 3), np.uint8)
    brighter = frame.copy()
    brighter[:21, :21] = 200
    slightly = frame + np.uint8(3)
    ram = np.zeros(128, np.uint8)
    assert cells.key(ram, frame) == cells.key(ram, slightly) != cells.key(ram, brighter)
    assert len(cells.key(ram, frame)) == 16


def test_pixel_cells_adapt_to_the_rate_of_discovery():
    assert PixelCells(3).adapted(new_cells=3000, steps=20_000) == PixelCells(2)
    assert PixelCells(3).adapted(new_cells=10, steps=20_000) == PixelCells(4)
    assert PixelCells(3).adapted(new_cells=400, steps=20_000) == PixelCells(3)
    assert PixelCells(0).adapted(new_cells=20_000, steps=20_000) == PixelCells(0)


def test_sources_of_cells():
    assert isinstance(make_cells("Carnival", "auto"), PixelCells)
    assert isinstance(make_cells("MontezumaRevenge", "pixels"), PixelCells)
    with pytest.raises(ValueError, match="Carnival has no labelled bytes.*policy.cells=pixels$"):
        make_cells("Carnival", "ram")
    with pytest.raises(ValueError, match="policy.cells: expected auto, ram or pixels, got 'sound'"):
        make_cells("Pong", "sound")
