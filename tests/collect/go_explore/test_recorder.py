from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.events import find_events
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import PixelCells, is_heldout_cell

TINY = ["policy.explore_steps=8000", "num_steps=2000", "policy.segment_steps=40"]
TWO = ["policy.explore_steps=60000", "num_steps=8000", "policy.num_explorations=2"]


def test_training_and_heldout_segments_start_from_different_cells(explore, tmp_path):
    explore(tmp_path, *TINY, "policy.event_share=0")
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


def test_about_half_of_the_segments_begin_shortly_before_events(explore, tmp_path):
    explore(tmp_path, *TWO, "num_workers=2", "policy.event_segment_steps=30")
    names = {
        split: [
            info.start_cell
            for info in EpisodeDataset(tmp_path, split).infos
            if info.start == "restored"
        ]
        for split in ("train", "heldout")
    }
    events = {split: [name for name in cells if "@" in name] for split, cells in names.items()}
    assert 0.4 < len(events["train"]) / len(names["train"]) < 0.6
    assert {name.partition(":")[0] for name in events["train"]} == {
        "reward",
        "life_lost",
        "end",
        "scene",
    }
    cells = {split: {name.partition("@")[2] for name in events[split]} for split in events}
    assert cells["train"] and cells["heldout"]
    assert not cells["train"] & cells["heldout"]
    # A second job of the dataset leaves them on their sides.
    explore(tmp_path, *TWO, "seed=1", "policy.from_reset_share=0")
    for split in cells:
        names = [info.start_cell for info in EpisodeDataset(tmp_path, split).infos]
        cells[split] = {name.partition("@")[2] for name in names if "@" in name}
    assert not cells["train"] & cells["heldout"]


def test_events_are_met_far_more_often(explore, tmp_path):
    met = {}
    for share in (0, 0.6):
        folder = tmp_path / str(share)
        explore(folder, *TWO, f"policy.event_share={share}")
        dataset = EpisodeDataset(folder)
        met[share] = len(find_events(dataset)["reward"].frames) / dataset.num_steps
    assert met[0.6] > 3 * met[0]


def test_without_events_a_dataset_is_what_it_was(explore, tmp_path):
    explore(tmp_path, *TINY, "policy.event_share=0", "policy.num_explorations=1")
    (archive,) = (tmp_path / "archives").glob("*.npz")
    assert archive.name.endswith("-seed0-0of1.npz")
    assert len(Archive.load(archive, PixelCells(0)).approaches) == 0
    # The starts that the version before events drew.
    infos = EpisodeDataset(tmp_path).infos
    assert [info.start_cell for info in infos][:4] == [
        "00010f15",
        "0201070b",
        "00011213",
        "02010a12",
    ]
