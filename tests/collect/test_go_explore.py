import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.go_explore.archive import is_heldout_cell
from worldtokens.collect.run import CollectConfig, main
from worldtokens.training.command_line import compose


def collect(folder, *overrides, env="FakeGame"):
    shared = ["num_workers=1", "policy=go_explore", "env_config.max_episode_steps=300"]
    main(compose(CollectConfig, "collect", [f"env={env}", f"data={folder}", *shared, *overrides]))


def contents(folder):
    return [(e.info, e.frames.tobytes()) for e in EpisodeDataset(folder).episodes]


TINY = [
    "policy.explore_steps=20000",
    "num_steps=2500",
    "policy.segment_steps=40",
]


def test_explores_records_and_resumes(tmp_path, capsys):
    collect(tmp_path, *TINY)
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
    collect(tmp_path, *TINY, "num_steps=3200")
    assert contents(tmp_path)[: len(before)] == before
    assert EpisodeDataset(tmp_path).num_steps >= 3200
    collect(tmp_path, *TINY)
    assert "complete" in capsys.readouterr().out


def test_training_and_heldout_segments_start_from_different_cells(tmp_path):
    collect(tmp_path, *TINY, "num_steps=2000", "policy.explore_steps=8000")
    cells = {
        split: {
            info.start_cell
            for info in EpisodeDataset(tmp_path, split).infos
            if info.start == "restored"
        }
        for split in ("train", "heldout")
    }
    assert cells["train"] and cells["heldout"]
    assert not cells["train"] & cells["heldout"]
    assert all(is_heldout_cell(cell) for cell in cells["heldout"])


def test_the_same_seed_gives_the_same_data_with_one_worker(tmp_path):
    short = ["num_steps=500", "policy.explore_steps=6000"]
    for name in ("one", "two"):
        collect(tmp_path / name, *TINY, *short)
    collect(tmp_path / "other", *TINY, *short, "seed=1")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_workers_share_what_they_find(tmp_path):
    collect(tmp_path, *TINY, "num_workers=2", "policy.explore_steps=40000")
    assert set(EpisodeDataset(tmp_path).scene.tolist()) == {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("env", ("Pong", "Breakout", "MsPacman", "Freeway", "MontezumaRevenge"))
@pytest.mark.parametrize("cells", ("ram", "pixels"))
def test_real_games_collect_from_both_kinds_of_cells(tmp_path, env, cells):
    overrides = ["policy.explore_steps=1500", "num_steps=200", "policy.from_reset_share=0"]
    collect(tmp_path, *overrides, f"policy.cells={cells}", env=env)
    dataset = EpisodeDataset(tmp_path)
    assert dataset.num_steps >= 200
    assert all(info.start == "restored" and info.start_cell for info in dataset.infos)


@pytest.mark.parametrize(
    "override, message",
    (
        ("policy.segment_steps=0", "policy.segment_steps must be an integer of at least 1, got 0"),
        ("policy.frontier_share=-1", r"policy.frontier_share must be in \[0, 1\], got -1"),
        ("policy.from_reset_share=2", r"policy.from_reset_share must be in \[0, 1\], got 2"),
        ("policy.cells=sound", "policy.cells must be auto, ram or pixels, got 'sound'"),
    ),
)
def test_wrong_values_are_explained(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        collect(tmp_path, override)
