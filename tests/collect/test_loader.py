import dataclasses
import itertools

import numpy as np
import torch

from collect import EpisodeDataset
from collect.loader import DeviceDataset, load_segments


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


def test_tensors_on_a_device_give_the_same_segments(dataset_folder):
    dataset = EpisodeDataset(dataset_folder)
    on_device = DeviceDataset(dataset, "cpu")
    starts = np.flatnonzero(dataset.steps.action_mask)
    expected = dataset.segments_at(starts, 6)
    segments = on_device.segments_at(torch.from_numpy(starts), 6)
    for field in dataclasses.fields(expected):
        values = getattr(segments, field.name).numpy()
        np.testing.assert_array_equal(values, getattr(expected, field.name))
        assert values.dtype == getattr(expected, field.name).dtype, field.name


def test_tensors_are_drawn_by_the_generator(dataset_folder):
    on_device = DeviceDataset(EpisodeDataset(dataset_folder), "cpu")
    draws = [
        on_device.sample_segments(5, 3, torch.Generator().manual_seed(seed)).frames
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    frames = on_device.sample_frames(7, torch.Generator().manual_seed(0))
    assert frames.shape == (7, 8, 8, 3) and frames.dtype == torch.uint8
