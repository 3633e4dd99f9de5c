import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset, ShardWriter
from worldtokens.collect.dataset.shard_reading import list_shards
from worldtokens.hub import locations

SHAPE = (8, 8, 3)


def test_splits_are_disjoint_and_follow_the_seed(dataset_folder):
    heldout = EpisodeDataset(dataset_folder, "heldout")
    train = EpisodeDataset(dataset_folder, "train")
    assert [info.seed for info in heldout.infos] == [9]
    assert [info.seed for info in train.infos] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert heldout.num_frames == 21 and heldout.read_frames(20, 21)[0, 0, 0].tolist() == [9, 20, 0]
    assert heldout.in_memory().split == "heldout"
    with pytest.raises(ValueError, match="split: expected None, 'train' or 'heldout', got 'test'"):
        EpisodeDataset(dataset_folder, "test")  # pyright: ignore[reportArgumentType]


def test_small_datasets_hold_out_the_smallest_seed(tmp_path, write_dataset):
    write_dataset(tmp_path / "d", [2, 2, 2])
    assert [info.seed for info in EpisodeDataset(tmp_path / "d", "heldout").infos] == [0]
    assert [info.seed for info in EpisodeDataset(tmp_path / "d", "train").infos] == [1, 2]
    write_dataset(tmp_path / "one", [2])
    with pytest.raises(ValueError, match=r"the heldout split of .* has no episodes \(1 in all\)"):
        EpisodeDataset(tmp_path / "one", "heldout")


def test_fingerprint_changes_with_the_shards(dataset_folder):
    before = EpisodeDataset(dataset_folder)
    assert before.fingerprint == EpisodeDataset(dataset_folder, "train").fingerprint
    sorted((dataset_folder / "shards").glob("*.h5"))[0].unlink()
    assert EpisodeDataset(dataset_folder).fingerprint != before.fingerprint


def test_datasets_can_be_pickled(dataset):
    dataset.read_frames(0, 3)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read_frames(0, 82), dataset.read_frames(0, 82))


def test_an_episode_written_twice_counts_once(dataset_folder, make_episode):
    writer = ShardWriter(dataset_folder / "shards", "again", SHAPE)
    writer.append(make_episode(3, 7))
    writer.flush()
    assert len(EpisodeDataset(dataset_folder)) == 12


def test_shipped_start_frames_open_by_name():
    dataset = EpisodeDataset("montezuma_revenge", "heldout")
    assert dataset.path == locations.SHIPPED / "montezuma_revenge" / "starts"
    assert dataset.game == "MontezumaRevenge" and len(dataset) == 21
    assert dataset.episodes[0].frames.shape == (81, 64, 64, 3)


def test_processes_that_collect_load_neither_torch_nor_the_hub(dataset_folder):
    script = f"""
import sys
from worldtokens.collect import EpisodeDataset, workers
assert len(EpisodeDataset({str(dataset_folder)!r})) == 12
print(sorted({{"torch", "huggingface_hub"}} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def change_shard(folder, name, row, value):
    """Does what another program might do."""
    with h5py.File(list_shards(folder / "shards")[0], "r+") as file:
        array = file[name]
        assert isinstance(array, h5py.Dataset)
        array[row] = value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("actions", 18, r"actions: expected numbers in \[0, \d+\), got 18 at step 1"),
        ("rewards", float("nan"), "rewards: expected finite numbers, got nan at step 1"),
    ],
)
def test_impossible_values_are_refused_with_the_way_out(dataset_folder, name, value, message):
    change_shard(dataset_folder, name, 1, value)
    with pytest.raises(ValueError, match=message + ".*format=dataset source=.* data=NEW"):
        _ = EpisodeDataset(dataset_folder).steps


def test_episodes_that_go_on_after_an_end_are_noted(dataset_folder, capfd):
    _ = EpisodeDataset(dataset_folder).steps
    assert capfd.readouterr().err == ""
    change_shard(dataset_folder, "terminated", 0, True)
    _ = EpisodeDataset(dataset_folder).steps
    note = capfd.readouterr().err
    assert ": 1 of 12 episodes go on after an end, the first is job-" in note
    assert note.endswith(f"format=dataset source={dataset_folder} data=NEW`\n")
