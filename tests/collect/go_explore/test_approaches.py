from collections import Counter

import numpy as np
import pytest

from worldtokens.collect.dataset.events import Event
from worldtokens.collect.go_explore import approaches as module
from worldtokens.collect.go_explore.approaches import (
    Approach,
    Approaches,
    Wanted,
    approach_tree,
    draw_approach,
    heldout_cells,
)
from worldtokens.collect.go_explore.cells import is_heldout_cell
from worldtokens.collect.go_explore.paths import Path

KEY = Event("reward", 100.0, 1, "0a")


def approach(event=KEY, start="", lead=10):
    return Approach(event, start, Path(((0, b"state"),), bytes(lead), ()), lead - 1)


def test_few_are_wanted_from_different_starts_and_longer_ones_more(monkeypatch):
    monkeypatch.setattr(module, "_PER_EVENT", 2)
    wanted = Wanted()
    assert wanted.take(KEY, "a", 10) == (True, None)
    assert wanted.take(KEY, "a", 10) == (False, None)
    assert wanted.take(KEY, "a", 11) == (True, "a")
    assert wanted.take(KEY, "b", 5) == (True, None)
    assert wanted.take(KEY, "c", 5) == (False, None)
    assert wanted.take(KEY, "c", 6) == (True, "b")
    # Beyond the longest lead that is used, longer is not better.
    assert wanted.take(KEY, "a", 24) == (True, "a")
    assert wanted.take(KEY, "a", 60) == (False, None)


def test_the_store_keeps_what_is_wanted(monkeypatch):
    monkeypatch.setattr(module, "_PER_EVENT", 1)
    store = Approaches()
    for start, lead in (("a", 5), ("b", 4), ("c", 6)):
        store.add(approach(start=start, lead=lead))
    assert list(store) == [approach(start="c", lead=6)]


def test_a_full_kind_stays_even_over_values_scenes_and_cells(monkeypatch):
    monkeypatch.setattr(module, "_PER_KIND", 8)
    store = Approaches()
    for number in range(40):
        store.add(approach(Event("life_lost", 3.0, 0, f"{number % 4:02x}"), f"s{number}"))
    for number in range(3):
        store.add(approach(Event("life_lost", 2.0, 0, "00"), f"s{number}"))
    store.add(approach(Event("reward", 1.0, 0, "00"), "s"))
    for number in range(40, 60):
        store.add(approach(Event("life_lost", 3.0, 0, f"{number % 4:02x}"), f"s{number}"))
    kinds = Counter(a.event.kind for a in store)
    assert 8 <= kinds["life_lost"] <= 12 and kinds["reward"] == 1
    assert sum(a.event.value == 2.0 for a in store) == 3
    cells = Counter(a.event.cell for a in store if a.event.value == 3.0)
    assert set(cells) == {"00", "01", "02", "03"}


def test_rare_events_are_drawn_as_often_as_common_ones():
    events = [
        *(Event("reward", 100.0, 1, cell) for cell in ("0a", "0b")),
        Event("reward", 1000.0, 2, "0a"),
        Event("life_lost", 1.0, 0, "0a"),
    ]
    many = [approach(events[0], f"{number}") for number in range(50)]
    tree = approach_tree([*many, *(approach(event) for event in events[1:])])
    rng = np.random.default_rng(0)
    drawn = Counter(draw_approach(tree, rng).event for _ in range(4000))
    shares = [drawn[event] / 4000 for event in events]
    # Rewards three times as often as lost lives; values evenly, then cells.
    assert shares == pytest.approx([3 / 16, 3 / 16, 3 / 8, 1 / 4], abs=0.03)


def test_each_event_with_three_cells_has_one_that_is_held_out():
    names = [f"{number:02x}" for number in range(100)]
    by_name = {name for name in names if is_heldout_cell(name)}
    training = [name for name in names if name not in by_name]
    two = [approach(Event("reward", 1.0, 0, name)) for name in training[:2]]
    three = [approach(Event("reward", 5.0, 0, name)) for name in training[2:5]]
    named = [approach(Event("reward", 9.0, 0, name)) for name in names]
    assert heldout_cells([*two, *named], is_whole_job=True) == by_name
    chosen = heldout_cells([*two, *three, *named], is_whole_job=True) - by_name
    assert len(chosen) == 1 and chosen <= set(training[2:5])
    assert heldout_cells([*two, *three, *named], is_whole_job=False) == by_name
