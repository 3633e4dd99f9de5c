import pytest

from worldtokens.collect import EpisodeDataset

TINY = ["policy.explore_steps=20000", "num_steps=2500", "policy.segment_steps=40"]


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
