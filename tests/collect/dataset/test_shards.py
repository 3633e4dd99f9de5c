import dataclasses
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from worldtokens.collect import ShardWriter
from worldtokens.collect.dataset.shard_reading import read_shard_info

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


def test_impossible_values_are_refused(tmp_path, make_episode):
    episode = make_episode(0, 4)
    writer = ShardWriter(tmp_path, "w", SHAPE, num_actions=3)
    with pytest.raises(ValueError, match=r"actions: expected numbers in \[0, 3\), got 3 at step 3"):
        writer.append(episode)
    writer = ShardWriter(tmp_path, "w", (8, 9, 3))
    with pytest.raises(ValueError, match=r"frames: expected shape \(5, 8, 9, 3\), got \(5, 8, 8"):
        writer.append(episode)
    assert writer.flush() is None


def test_letters_beyond_ascii_are_kept(tmp_path, make_episode):
    episode = make_episode(0, 4)
    info = dataclasses.replace(episode.info, id="jöb-日本", start_cell="zelle-ü")
    writer = ShardWriter(tmp_path, "w", SHAPE)
    writer.append(dataclasses.replace(episode, info=info))
    path = writer.flush()
    assert path is not None and read_shard_info(path).episodes == (info,)


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
