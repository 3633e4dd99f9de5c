import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.shard_reading import (
    DamagedShard,
    ForeignShard,
    explained,
    read_shard_info,
    verify_shard,
)
from worldtokens.common.digests import SIZE

SHAPE = (8, 8, 3)


def first_shard(folder):
    return sorted((folder / "shards").glob("*.h5"))[0]


def without_digests(shard):
    """Makes a shard as earlier versions wrote it."""
    content = shard.read_bytes()[:-SIZE]
    shard.write_bytes(content)
    with h5py.File(shard, "r+") as file:
        del file.attrs["table_sha256"]


@pytest.mark.parametrize("keep", (0.0, 0.3, 0.9))
def test_a_truncated_shard_is_named_with_the_way_out(dataset_folder, keep):
    shard = first_shard(dataset_folder)
    os.truncate(shard, int(shard.stat().st_size * keep))
    with pytest.raises(
        ValueError, match=rf"shard {shard} is damaged .*report.* data={dataset_folder} v"
    ) as error:
        EpisodeDataset(dataset_folder)
    assert "\n" not in str(error.value)


def test_a_flipped_bit_is_found_when_read(dataset_folder):
    shard = first_shard(dataset_folder)
    with h5py.File(shard) as file:
        frames = file["frames"]
        assert isinstance(frames, h5py.Dataset)
        chunk = frames.id.get_chunk_info(0)
    content = bytearray(shard.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 4
    shard.write_bytes(content)
    with pytest.raises(DamagedShard, match="its bytes changed since it was written"):
        EpisodeDataset(dataset_folder)
    # Without the digest, as in files of earlier versions, the checksum of the chunk tells.
    shard.write_bytes(content[:-SIZE])
    dataset = EpisodeDataset(dataset_folder)
    with pytest.raises(ValueError, match=f"shard {shard} is damaged"):
        dataset.read_frames(0, dataset.num_frames)


def test_foreign_files_are_refused(dataset_folder):
    shard = dataset_folder / "shards" / "other.h5"
    with h5py.File(shard, "w") as file:
        file["frames"] = np.zeros(3)
    with pytest.raises(ValueError, match="other.h5: it is an HDF5 file of another program"):
        EpisodeDataset(dataset_folder)
    shard.write_text("hello")
    with pytest.raises(ValueError, match="other.h5 is damaged"):
        EpisodeDataset(dataset_folder)


@pytest.mark.parametrize("column", ("seed", "start", "total_reward", "id"))
def test_a_flipped_bit_in_the_table_is_found_when_opened(dataset_folder, column):
    shard = first_shard(dataset_folder)
    with h5py.File(shard) as file:
        values = file[f"episodes/{column}"]
        assert isinstance(values, h5py.Dataset)
        offset = values.id.get_offset()
    content = bytearray(shard.read_bytes())
    content[offset] ^= 1
    shard.write_bytes(content[:-SIZE])
    with pytest.raises(DamagedShard, match="its table of episodes changed since it was written"):
        EpisodeDataset(dataset_folder)


def test_any_flipped_bit_is_found_before_a_row_is_read(dataset_folder):
    shard = first_shard(dataset_folder)
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    episodes = [episode.frames for episode in EpisodeDataset(dataset_folder).episodes]
    for _ in range(40):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        shard.write_bytes(content)
        try:
            read = [episode.frames for episode in EpisodeDataset(dataset_folder).episodes]
        except ValueError:
            continue
        # Nothing but the digest's own mark may have changed.
        np.testing.assert_equal(read, episodes)


def test_who_opens_a_shard_to_write_takes_its_digest_only(dataset_folder):
    shard = first_shard(dataset_folder)
    rewards = EpisodeDataset(dataset_folder).steps.rewards
    with h5py.File(shard, "r+"):
        verify_shard(shard)
    verify_shard(shard)
    script = "import h5py, os, sys; f = h5py.File(sys.argv[1], 'r+'); os._exit(1)"
    subprocess.run([sys.executable, "-c", script, first_shard(dataset_folder)], check=False)
    verify_shard(shard)
    np.testing.assert_array_equal(EpisodeDataset(dataset_folder).steps.rewards, rewards)


def test_shards_of_earlier_versions_are_read(dataset_folder):
    shard = first_shard(dataset_folder)
    steps = EpisodeDataset(dataset_folder).steps
    without_digests(shard)
    np.testing.assert_array_equal(EpisodeDataset(dataset_folder).steps.rewards, steps.rewards)
    assert len(verify_shard(shard).episodes) == 3


@pytest.mark.parametrize(
    ("number", "way_out"),
    (
        (errno.ENOLCK, "set HDF5_USE_FILE_LOCKING=FALSE"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "check the disk"),
        (errno.EACCES, "ask for the permission"),
    ),
)
def test_trouble_of_the_file_system_is_no_damage(dataset_folder, number, way_out):
    shard = first_shard(dataset_folder)
    with pytest.raises(OSError) as caught:
        with explained(shard):
            raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    assert str(shard) in str(caught.value) and os.strerror(number) in str(caught.value)
    assert way_out in str(caught.value)
    # As HDF5 words it where h5py gives no number.
    with pytest.raises(OSError, match="shard .*" + way_out):
        with explained(shard):
            raise RuntimeError(f"unable to lock file, errno = {number}, error message = 'x'")


def test_a_whole_file_is_never_called_damaged(dataset_folder):
    with pytest.raises(OSError, match="its digest is right, so it is not damaged"):
        with explained(first_shard(dataset_folder)):
            raise RuntimeError("something that HDF5 does not explain")


def test_arrays_in_other_files_are_refused(dataset_folder, tmp_path):
    shard = first_shard(dataset_folder)
    without_digests(shard)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["actions"] = np.zeros(25, np.int16)
    with h5py.File(shard, "r+") as file:
        del file["actions"]
        file["actions"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "actions")
    with pytest.raises(ForeignShard, match="actions: expected an array in the file"):
        read_shard_info(shard)
    (tmp_path / "raw").write_bytes(bytes(50))
    with h5py.File(shard, "r+") as file:
        del file["actions"]
        external = [(str(tmp_path / "raw"), 0, 50)]
        file.create_dataset("actions", shape=(25,), dtype=np.int16, external=external)
    with pytest.raises(ForeignShard, match="actions: .*got one in other files"):
        read_shard_info(shard)


def test_declared_sizes_are_checked_before_memory_is_taken(dataset_folder):
    shard = first_shard(dataset_folder)
    without_digests(shard)
    steps = 10**12
    with h5py.File(shard, "r+") as file:
        for name in ("frames", "ram", "lives", "actions", "rewards", "terminated", "truncated"):
            rows = steps + (3 if name in ("frames", "ram", "lives") else 0)
            array = file[name]
            assert isinstance(array, h5py.Dataset)
            array.resize(rows, axis=0)
        table = file["episodes/num_steps"]
        assert isinstance(table, h5py.Dataset)
        table[:] = [steps - 5, 3, 2]
    with pytest.raises(DamagedShard, match="frames: a part of it is not in the file"):
        read_shard_info(shard)


def test_impossible_values_are_named_and_are_no_damage(dataset_folder):
    shard = first_shard(dataset_folder)
    without_digests(shard)
    with h5py.File(shard, "r+") as file:
        rewards = file["rewards"]
        assert isinstance(rewards, h5py.Dataset)
        rewards[3] = np.nan
    with pytest.raises(ForeignShard, match="job-00000010: rewards: expected finite .* at step 1"):
        verify_shard(shard)
    with pytest.raises(ValueError, match=r"rewards: expected finite .* nan at step 1; make a data"):
        _ = EpisodeDataset(dataset_folder).steps
    with h5py.File(shard, "r+") as file:
        start = file["episodes/start"]
        assert isinstance(start, h5py.Dataset)
        start[1] = 2
    with pytest.raises(ForeignShard, match="start: expected one of .*, got 2"):
        read_shard_info(shard)


@pytest.mark.parametrize("id", (b"../../evil", b"/evil", b".hidden", b"a\nb", b""))
def test_ids_never_leave_a_folder(dataset_folder, id):
    shard = first_shard(dataset_folder)
    without_digests(shard)
    with h5py.File(shard, "r+") as file:
        del file["episodes/id"]
        file["episodes/id"] = np.array([b"a", b"b", id], "S20")
    with pytest.raises(ForeignShard, match="expected an id that could name a file"):
        EpisodeDataset(dataset_folder)
