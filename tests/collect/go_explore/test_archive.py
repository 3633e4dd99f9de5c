from collections import Counter
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from worldtokens.collect.dataset.events import Event
from worldtokens.collect.go_explore.approaches import Approach
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import PixelCells, RamCells, is_heldout_cell
from worldtokens.collect.go_explore.paths import Path
from worldtokens.envs import make_env


def test_better_routes_replace_worse_ones(route):
    archive = Archive(RamCells((0,), (1,)))
    assert archive.add(route("0a", score=1, lives=3, steps=10))
    for worse in (
        route("0a", score=0, lives=9, steps=1),
        route("0a", score=1, lives=2, steps=1),
        route("0a", score=1, lives=3, steps=11),
    ):
        assert not archive.add(worse)
    assert archive.routes == [route("0a", score=1, lives=3, steps=10)]
    for better in (
        route("0a", score=1, lives=3, steps=9),
        route("0a", score=1, lives=4, steps=99),
        route("0a", score=2, lives=0, steps=999),
    ):
        assert not archive.add(better)
        assert archive.routes == [better]
    assert len(archive) == 1 and archive.best_score == 2


def drawn_shares(archive, draws=20_000):
    """Return how often each cell is drawn first, from the same counts every time."""
    counts = Counter()
    rng = np.random.default_rng(0)
    for _ in range(draws // 100):
        fresh = deepcopy(archive)
        counts.update(r.key for r in fresh.choose(100, rng))
    return {key: count / draws for key, count in counts.items()}


def test_cells_are_chosen_by_one_over_the_root_of_returns(route):
    archive = Archive(RamCells((0,), (1,)))
    archive.add(route("0b"))
    archive.choose(3, np.random.default_rng(0))
    archive.add(route("0a"))
    # Returned to 0 and 3 times: weights 1 and 1/2.
    assert drawn_shares(archive) == pytest.approx({"0a": 2 / 3, "0b": 1 / 3}, abs=0.02)


def test_a_group_of_cells_is_chosen_before_a_cell(route):
    archive = Archive(RamCells((0, 1), (1, 1), num_exact=1, num_scene=1))
    for key in ("0100", "0101"):
        archive.add(route(key))
    archive.choose(8, np.random.default_rng(0))
    archive.add(route("0200"))
    # Returned to 8 and 0 times: the groups' weights are 1/3 and 1.
    shares = drawn_shares(archive)
    assert shares["0200"] == pytest.approx(3 / 4, abs=0.02)
    assert shares["0100"] + shares["0101"] == pytest.approx(1 / 4, abs=0.02)


def test_half_of_the_returns_go_to_the_frontier(route):
    # Room and inventory, then x: with nothing carried places 1 to 3 are known, with the key 1.
    archive = Archive(RamCells((0, 1, 2), (1, 1, 1), num_exact=2, num_scene=1))
    for key in ("010001", "010002", "010003", "010201", "010207"):
        archive.add(route(key))
    shares = drawn_shares(archive)
    # Two groups; of the key's two cells only that at 1 has a place beside it that is known.
    assert shares["010201"] == pytest.approx(0.5 + 0.5 / 4, abs=0.02)
    assert shares["010207"] == pytest.approx(0.5 / 4, abs=0.02)
    assert shares["010002"] == pytest.approx(0.5 / 6, abs=0.02)
    archive.add(route("010202"))
    archive.add(route("010203"))
    # Now it is known there too, and what nobody has seen (place 4) does not count.
    shares = drawn_shares(archive)
    assert shares["010201"] == pytest.approx(1 / 8, abs=0.02)


def test_archives_survive_saving(tmp_path, route):
    archive = Archive(PixelCells(5))
    archive.explored_steps = 77
    archive.add(route("0a", score=2.5, room=4, state=b"first"))
    archive.add(route("0b", steps=3, state=b"and second"))
    archive.choose(8, np.random.default_rng(1))
    archive.save(tmp_path / "x" / "archive.npz")
    loaded = Archive.load(tmp_path / "x" / "archive.npz", PixelCells(2))
    assert loaded.routes == archive.routes and loaded.explored_steps == 77
    assert loaded.cells == PixelCells(5) and loaded.rooms == {0, 4}
    chosen = [a.choose(50, np.random.default_rng(0)) for a in (archive, loaded)]
    assert chosen[0] == chosen[1]


def test_approaches_and_ways_are_saved_beside_the_cells(tmp_path, route):
    archive = Archive(RamCells((0,), (1,)))
    archive.add(route("0a"))
    way = Path(((0, b"one"), (2, b"another")), bytes([9, 8, 7]), ((1, 5), (2, 2**30)))
    archive.add(replace(route("0b"), way=way))
    key = Event("reward", 100.0, 1, "0a")
    death = Event("life_lost", 3.0, 1, "0b")
    approaches = [
        Approach(key, "05", Path(((0, b"one"),), bytes([4, 5, 6]), ()), 1),
        Approach(death, "05", Path(((0, b"one"),), bytes([4, 5, 6, 7]), ((0, 1),)), 3),
        Approach(death, "", Path(((0, b"another"),), b"", ()), 0),
    ]
    for approach in approaches:
        archive.approaches.add(approach)
    archive.save(tmp_path / "archive.npz")
    loaded = Archive.load(tmp_path / "archive.npz", RamCells((0,), (1,)))
    assert list(loaded.approaches) == approaches and loaded.routes == archive.routes
    assert loaded.routes[1].way == way
    with np.load(tmp_path / "archive.npz") as file:
        content = {name: file[name] for name in file.files}
    assert content["path_states"].tobytes() == b"oneanother"
    # Archives of earlier versions have cells only.
    old = {name: value for name, value in content.items() if not name.startswith("path")}
    np.savez(tmp_path / "old.npz", **old)
    loaded = Archive.load(tmp_path / "old.npz", RamCells((0,), (1,)))
    assert [r.key for r in loaded.routes] == ["0a", "0b"] and len(loaded.approaches) == 0


def test_damaged_archives_are_named(tmp_path):
    path = tmp_path / "archive.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=f"archive {path} cannot be read .*delete it"):
        Archive.load(path, PixelCells(0))


def test_heldout_cells_are_about_one_in_eight_and_apart(route):
    archive = Archive(RamCells((0,), (1,)))
    for number in range(4000):
        archive.add(route(f"{number:06x}", room=number % 2))
    heldout = {r.key for routes in archive.starts(True).values() for r in routes}
    training = {r.key for routes in archive.starts(False).values() for r in routes}
    assert len(heldout) == pytest.approx(500, abs=60)
    assert not heldout & training and len(heldout | training) == 4000
    assert all(is_heldout_cell(key) for key in heldout)


def test_changing_the_cells_keeps_the_best_route_of_each(route):
    archive = Archive(PixelCells(7))
    env = make_env("FakeGame")
    for number in range(12):
        env.reset(seed=0)
        for _ in range(number):
            frame, *_ = env.step(3)
        key = PixelCells(7).key(np.zeros(128, np.uint8), env.frame)
        archive.add(route(key, score=float(number), state=env.get_state().to_bytes()))
    fine = len(archive)
    archive.change_cells(PixelCells(0))
    assert 1 <= len(archive) < fine and archive.best_score == 11.0
