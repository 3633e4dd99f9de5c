import dataclasses
import itertools
import multiprocessing
import shutil

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.collect.dataset.loader import load_segments


def test_workers_read_what_the_dataset_holds(dataset_folder):
    dataset = EpisodeDataset(dataset_folder)
    batches = list(itertools.islice(load_segments(dataset, 3, 4, seed=7, num_workers=2), 4))
    # Batches come from the workers in turn.
    generators = [np.random.default_rng([7, worker]) for worker in (0, 1)]
    for number, batch in enumerate(batches):
        expected = dataset.sample_segments(3, 4, generators[number % 2])
        for field in dataclasses.fields(expected):
            values = getattr(batch, field.name)
            np.testing.assert_array_equal(values.numpy(), getattr(expected, field.name))


def test_batches_stay_as_they_were_when_more_are_read(dataset_folder):
    dataset = EpisodeDataset(dataset_folder)
    batches = list(itertools.islice(load_segments(dataset, 3, 4, seed=7, num_workers=1), 9))
    rng = np.random.default_rng([7, 0])
    for batch in batches:
        expected = dataset.sample_segments(3, 4, rng).frames
        np.testing.assert_array_equal(batch.frames.numpy(), expected)


def test_without_workers_this_process_reads_the_same_batches(dataset_folder):
    dataset = EpisodeDataset(dataset_folder)
    here, there = (
        list(itertools.islice(load_segments(dataset, 2, 3, 5, workers), 3)) for workers in (0, 1)
    )
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours.frames, theirs.frames)
        assert torch.equal(ours.action_mask, theirs.action_mask)


def test_readers_end_with_the_loop_over_their_batches(dataset_folder):
    segments = load_segments(EpisodeDataset(dataset_folder), 2, 3, 5, num_workers=2)
    next(segments)
    assert len(multiprocessing.active_children()) == 2
    segments.close()
    assert not multiprocessing.active_children()


def test_a_shard_that_goes_bad_is_named(dataset_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(dataset_folder, folder)
    dataset = EpisodeDataset(folder)
    assert dataset.steps.action_mask.any()  # read before the frames are damaged
    for shard in (folder / "shards").iterdir():
        shard.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="shard .*copy.* is damaged"):
        next(load_segments(dataset, 2, 3, 5, num_workers=1))


def test_wrong_numbers_of_workers_are_explained(dataset_folder):
    with pytest.raises(ValueError, match="num_workers: expected .* at least 0, got -1"):
        next(load_segments(EpisodeDataset(dataset_folder), 2, 3, 5, num_workers=-1))
