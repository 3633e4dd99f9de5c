import numpy as np

from worldtokens.collect.go_explore.cells import PixelCells, RamCells
from worldtokens.collect.go_explore.frontier import Frontier


def test_the_frontier_is_beside_positions_that_were_reached_with_other_things():
    # Room and things carried, then x.
    frontier = Frontier(RamCells((0, 1, 2), (1, 1, 1), num_exact=2, num_scene=1))
    for key in ("010001", "010002", "010201"):
        frontier.add(key)
    # With thing 2 in hand position 2, beside 1, is known and not yet reached.
    assert frontier.mask().tolist() == [False, False, True]
    frontier.add("010202")
    assert frontier.mask().tolist() == [False] * 4


def test_another_room_does_not_count():
    frontier = Frontier(RamCells((0, 1, 2), (1, 1, 1), num_exact=2, num_scene=1))
    for key in ("010001", "020002", "010201"):
        frontier.add(key)
    assert not frontier.mask().any()


def test_pixels_have_no_frontier():
    frontier = Frontier(PixelCells(0))
    frontier.add("abcd")
    np.testing.assert_array_equal(frontier.mask(), [False])
