from worldtokens.collect import EpisodeDataset
from worldtokens.collect.go_explore.archive import is_heldout_cell

TINY = ["policy.explore_steps=8000", "num_steps=2000", "policy.segment_steps=40"]


def test_training_and_heldout_segments_start_from_different_cells(explore, tmp_path):
    explore(tmp_path, *TINY)
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
