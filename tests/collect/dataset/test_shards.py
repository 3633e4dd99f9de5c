import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset, ShardWriter

SHAPE = (8, 8, 3)


def first_shard(folder):
    return sorted((folder / "shards").glob("*.h5"))[0]


def test_shards_appear_whole_and_only_when_flushed(tmp_path, make_episode):
    writer = ShardWriter(tmp_path, "w", SHAPE)
    writer.append(make_episode(0, 4))
    assert list(tmp_path.iterdir()) == [] and writer.num_steps == 4
    assert writer.flush() == tmp_path / "w-000000.h5"
    assert writer.num_steps == 0 and writer.flush() is None
    writer.append(make_episode(1, 2))
    assert writer.flush() == tmp_path / "w-000001.h5"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w-000000.h5", "w-000001.h5"]


def test_shards_are_plain_hdf5(dataset_folder):
    with h5py.File(first_shard(dataset_folder)) as file:
        assert file.attrs["format"] == "worldtokens-episodes"
        frames = file["frames"]
        assert isinstance(frames, h5py.Dataset)
        assert frames.chunks == (16, *SHAPE) and frames.fletcher32
        assert file["episodes/num_steps"][:].tolist() == [2, 3, 20]  # pyright: ignore
        assert len(frames) == 28


@pytest.mark.parametrize("keep", (0.0, 0.3, 0.9))
def test_a_truncated_shard_is_named_with_the_way_out(dataset_folder, keep):
    shard = first_shard(dataset_folder)
    os.truncate(shard, int(shard.stat().st_size * keep))
    with pytest.raises(
        ValueError, match=rf"shard {shard} cannot be read .*report.* data={dataset_folder} v"
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
    dataset = EpisodeDataset(dataset_folder)
    with pytest.raises(ValueError, match=f"shard {shard} cannot be read"):
        dataset.read_frames(0, dataset.num_frames)


def test_foreign_files_are_refused(dataset_folder):
    shard = dataset_folder / "shards" / "other.h5"
    with h5py.File(shard, "w") as file:
        file["frames"] = np.zeros(3)
    with pytest.raises(ValueError, match="other.h5 cannot be read .*HDF5 file of another program"):
        EpisodeDataset(dataset_folder)
    shard.write_text("hello")
    with pytest.raises(ValueError, match="other.h5 cannot be read"):
        EpisodeDataset(dataset_folder)


def test_a_full_disk_leaves_nothing_behind_and_loses_nothing(tmp_path):
    # A limit on file sizes stands in for the full disk; it needs a process of its own.
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from conftest import SHAPE, make_episode
from worldtokens.collect import ShardWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = ShardWriter(__import__("pathlib").Path({str(tmp_path)!r}), "w", SHAPE)
writer.append(make_episode(0, 4))
writer.flush()
writer.append(make_episode(1, 4))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    writer.flush()
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.flush()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "cannot write" in done.stdout and "free some space" in done.stdout
    assert "w-000001.h5" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w-000000.h5", "w-000001.h5"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
