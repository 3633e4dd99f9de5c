import numpy as np
import pytest

from worldtokens.world_model.rl.player_reader import LostPlayers, PlayerReader

PLACES, EMPTY = 12, 0
X = 20 * np.arange(PLACES)


def frame(place) -> np.ndarray:
    """A corridor of twelve places: token 0 is empty, token 1 is the player at (20 x place, 7)."""
    tokens = np.full(PLACES, EMPTY)
    if place is not None:
        tokens[place] = 1
    return tokens


def reader() -> PlayerReader:
    places = np.arange(120) % PLACES
    tokens = np.stack([frame(place) for place in places])
    # Once the player stood at the left, and a bird (token 2) was beside him.
    tokens[0, 3] = 2
    positions = np.stack((X[places], np.full(120, 7)), axis=1)
    return PlayerReader(tokens, positions, vocab_size=3)


def test_the_player_is_read_where_he_is_and_nowhere_else():
    bird = frame(1)
    bird[3] = 2
    at = reader().read(np.stack([frame(0), frame(2), bird, frame(None)]))
    np.testing.assert_allclose(at[:3], [[0, 7], [40, 7], [20, 7]])
    assert np.isnan(at[3]).all()


def test_frames_and_positions_belong_together():
    message = r"positions: expected \(3, 2\) of at least one frame, got \(2, 2\)"
    with pytest.raises(ValueError, match=message):
        PlayerReader(np.zeros((3, 4), int), np.zeros((2, 2)), 3)
    with pytest.raises(ValueError, match=r"expected \(0, 2\) of at least one frame, got \(0, 2\)"):
        PlayerReader(np.zeros((0, 4), int), np.zeros((0, 2)), 3)


def watch(places, **settings):
    """Whether he is lost at each frame after the first one, from places or None for unseen."""
    first, *others = (frame(place)[None] for place in places)
    lost = LostPlayers(reader(), first, **settings)
    return [bool(lost.add(tokens)[0]) for tokens in others]


def test_a_player_who_walks_is_not_lost_and_one_who_jumps_is():
    assert watch([0, 1, 2, 3, 2]) == [False] * 4
    assert watch([0, 2, 2, 3], most_far=0) == [True] * 3
    assert watch([0, 2], longest_jump=40.0, most_far=0) == [False]
    # One misread frame is forgiven; far away for longer, he may have come there.
    assert watch([0, 6, 1, 2]) == [False] * 3
    assert watch([0, 6, 6, 6]) == [False, True, True]
    assert watch([0, 2, 2]) == [False, True] and watch([0, 3, 1, 3]) == [False] * 3


def test_what_is_seen_where_he_cannot_be_is_astray():
    first, *others = (frame(place)[None] for place in [0, 6, None, 1, 2])
    lost = LostPlayers(reader(), first)
    astray = []
    for tokens in others:
        lost.add(tokens)
        astray.append(bool(lost.astray[0]))
    assert astray == [True, False, False, False]


def test_a_player_who_vanishes_is_lost_after_some_frames():
    assert watch([0, None, None, None, None], most_missed=2) == [False, False, True, True]
    # He who comes back near where he was is found again; unseen, he may have gone farther.
    assert watch([0, None, 1, None, None, 1], most_missed=2) == [False] * 5
    assert watch([0, None, None, 2], most_missed=2) == [False] * 3
    assert watch([0, None, 3], most_missed=2, most_far=0) == [False, True]
    assert watch([0, None, None, 6], most_missed=2) == [False, False, True]


def test_without_a_reader_nobody_is_lost():
    lost = LostPlayers(None, np.zeros((3, 4), int))
    assert lost.add(np.ones((3, 4), int)).tolist() == [False] * 3
    lost.begin(np.ones(3, bool), np.ones((3, 4), int))


def test_dreams_that_begin_anew_begin_somewhere_else():
    lost = LostPlayers(reader(), np.stack([frame(0), frame(0)]), most_missed=1)
    assert lost.add(np.stack([frame(None), frame(None)])).tolist() == [False, False]
    lost.begin(np.array([True, False]), np.stack([frame(5), frame(5)]))
    assert lost.add(np.stack([frame(None), frame(None)])).tolist() == [False, True]
    assert lost.add(np.stack([frame(6), frame(6)])).tolist() == [False, True]
