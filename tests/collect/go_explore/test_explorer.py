import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells

TINY = [
    *("policy.explore_steps=20000", "num_steps=2500", "policy.segment_steps=40"),
    *("policy.num_explorations=1", "policy.event_share=0"),
]


def contents(folder):
    return [(e.info, e.frames.tobytes()) for e in EpisodeDataset(folder).episodes]


def test_explores_records_and_resumes(explore, tmp_path, capsys):
    explore(tmp_path, *TINY)
    dataset = EpisodeDataset(tmp_path)
    assert 2500 <= dataset.num_steps < 2900
    assert set(dataset.scene.tolist()) == {0, 1, 2}
    segments = [episode for episode in dataset.episodes if episode.start == "restored"]
    assert len(segments) > 40
    assert all(episode.num_steps <= 40 for episode in segments)
    assert all(
        episode.truncated[-1] != episode.terminated[-1] and not episode.truncated[:-1].any()
        for episode in segments
    )
    # Rooms are drawn evenly.
    rooms = [int(episode.ram[0, 0]) for episode in segments]
    assert min(rooms.count(room) for room in (0, 1, 2)) > len(rooms) / 6

    before = contents(tmp_path)
    explore(tmp_path, *TINY, "num_steps=3200")
    assert contents(tmp_path)[: len(before)] == before
    assert EpisodeDataset(tmp_path).num_steps >= 3200
    explore(tmp_path, *TINY)
    assert "complete" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_data_with_one_worker(explore, tmp_path):
    short = ["num_steps=500", "policy.explore_steps=6000"]
    for name in ("one", "two"):
        explore(tmp_path / name, *TINY, *short)
    explore(tmp_path / "other", *TINY, *short, "seed=1")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_workers_share_what_they_find(explore, tmp_path):
    explore(tmp_path, *TINY, "num_workers=2", "policy.explore_steps=40000")
    assert set(EpisodeDataset(tmp_path).scene.tolist()) == {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("env", ("Pong", "Breakout", "MsPacman", "Freeway", "MontezumaRevenge"))
@pytest.mark.parametrize("cells", ("ram", "pixels"))
def test_real_games_collect_from_both_kinds_of_cells(explore, tmp_path, env, cells):
    overrides = ["policy.explore_steps=1500", "num_steps=200", "policy.from_reset_share=0"]
    explore(tmp_path, *overrides, f"policy.cells={cells}", env=env)
    dataset = EpisodeDataset(tmp_path)
    assert dataset.num_steps >= 200
    assert all(info.start == "restored" and info.start_cell for info in dataset.infos)


def test_several_explorations_are_recorded_from_evenly_and_go_on(explore, tmp_path):
    several = [*TINY, "policy.num_explorations=3", "policy.explore_steps=12000"]
    explore(tmp_path, *several)
    paths = sorted((tmp_path / "archives").glob("*.npz"))
    archives = [Archive.load(path, make_cells("FakeGame", "auto")) for path in paths]
    assert [path.stem[-7:] for path in paths] == ["-0of1-0", "-0of1-1", "-0of1-2"]
    assert all(4000 <= archive.explored_steps < 6500 for archive in archives)
    cells = [{route.key for route in archive.routes} for archive in archives]
    assert len(set(map(frozenset, cells))) == 3
    starts = [info.start_cell for info in EpisodeDataset(tmp_path).infos if info.start_cell]
    only = [
        sum(s in own - set().union(*cells[:i], *cells[i + 1 :]) for s in starts)
        for i, own in enumerate(cells)
    ]
    assert min(only) > 0
    assert set(starts) <= set().union(*cells)

    explore(tmp_path, *several, "policy.explore_steps=24000", "num_steps=3000")
    more = [Archive.load(path, make_cells("FakeGame", "auto")) for path in paths]
    assert all(8000 <= archive.explored_steps < 10500 for archive in more)
    assert all({r.key for r in a.routes} >= own for a, own in zip(more, cells, strict=True))
