import os
import pickle
import resource

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.open_shards import OpenShards
from worldtokens.collect.dataset.shard_reading import list_shards


@pytest.fixture
def few_files():
    """Lets this process open few more files than it has open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_more_shards_than_files_that_may_be_open(tmp_path, write_dataset, few_files):
    episodes = write_dataset(tmp_path, [3] * 24, per_shard=1)
    dataset = EpisodeDataset(tmp_path)
    frames = np.concatenate([episode.frames for episode in episodes])
    np.testing.assert_array_equal(dataset.gather_frames(np.arange(dataset.num_frames)), frames)


def test_rows_are_read_again_after_pickling(dataset_folder):
    shards = OpenShards(list_shards(dataset_folder / "shards"))
    # The first shard holds the last three episodes: 2, 3 and 20 steps.
    assert shards.read(0, "actions", 0, 4).tolist() == [0, 1, 0, 1]
    assert pickle.loads(pickle.dumps(shards)).read(0, "rewards", 4, 7).tolist() == [2, 0, 1]


def test_the_working_folder_may_change(dataset_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(dataset_folder.parent)
    dataset = EpisodeDataset(dataset_folder.name)
    monkeypatch.chdir("/")
    assert dataset.read_frames(0, 1).shape == (1, 8, 8, 3)
