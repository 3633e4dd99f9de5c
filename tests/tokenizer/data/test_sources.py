import numpy as np
import pytest

from worldtokens.tokenizer.data.images import ImageSource
from worldtokens.tokenizer.data.sources import open_sources


def test_a_dataset_of_episodes(dataset):
    sources = open_sources(str(dataset), (16, 24, 3), "crop", in_memory=False)
    assert (sources.train.num_frames, sources.heldout.num_frames) == (18 * 13, 2 * 13)
    assert sources.backgrounds is not None and sources.backgrounds.scenes.tolist() == [0, 1]
    assert sources.backgrounds.medians[:, 0, 0].tolist() == [[40, 80, 120], [120, 40, 80]]
    with pytest.raises(ValueError, match="got 16x24"):
        open_sources(str(dataset), (24, 24, 3), "crop", in_memory=False)


def test_images(tmp_path):
    np.save(tmp_path / "toys.npy", np.zeros((30, 8, 8), np.uint8))
    sources = open_sources(str(tmp_path / "toys.npy"), (4, 4, 3), "crop", in_memory=True)
    assert isinstance(sources.train, ImageSource) and sources.backgrounds is None
    assert (sources.train.num_frames, sources.heldout.num_frames) == (27, 3)
