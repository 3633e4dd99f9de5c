import numpy as np
import pytest
from photographs.crops import PHOTOGRAPHS, draw_crops, load_photographs

from worldtokens.tokenizer.data.images import ImageSource


def test_heldout_crops_come_from_the_right_fifth(tmp_path):
    image = np.zeros((70, 400, 3), np.uint8)
    image[:, 320:] = 200
    crops = draw_crops([image], 40, np.random.default_rng(0))
    np.save(tmp_path / "crops.npy", crops)
    for split, value in (("train", 0), ("heldout", 200)):
        source = ImageSource(tmp_path / "crops.npy", split, (64, 64, 3))
        frames = source.gather_frames(np.arange(source.num_frames))
        assert (frames == value).all(), split


def test_every_photograph_is_drawn_from():
    images = [np.full((64, 320, 3), value, np.uint8) for value in (10, 20, 30)]
    crops = draw_crops(images, 60, np.random.default_rng(0))
    assert crops.shape == (60, 64, 64, 3)
    assert set(np.unique(crops)) == {10, 20, 30}


def test_the_photographs_come_with_the_package():
    pytest.importorskip("skimage", reason="needs scikit-image (the extra pictures)")
    images = load_photographs()
    assert len(images) == len(PHOTOGRAPHS)
    for image in images:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert image.shape[0] >= 64 and 0.2 * image.shape[1] >= 64
