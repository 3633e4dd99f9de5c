import dataclasses

import numpy as np
import torch

from collect import EpisodeDataset
from collect.device_dataset import DeviceDataset


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
