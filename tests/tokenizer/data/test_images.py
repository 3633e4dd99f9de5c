import numpy as np
import pytest
from PIL import Image

from worldtokens.tokenizer.data.images import ImageSource, is_image_data, resize


def split_image():
    """8 rows, 16 columns: the left 4 columns red, the middle green, the right 4 blue."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :4, 0] = pixels[:, 4:12, 1] = pixels[:, 12:, 2] = 200
    return Image.fromarray(pixels)


def test_crop_keeps_the_middle_and_stretch_keeps_all():
    cropped = resize(split_image(), (4, 4, 3), "crop")
    assert (cropped == (0, 200, 0)).all()
    stretched = resize(split_image(), (4, 4, 3), "stretch")
    assert stretched[0].tolist() == [[200, 0, 0], [0, 200, 0], [0, 200, 0], [0, 0, 200]]


def test_a_folder_of_images(tmp_path):
    (tmp_path / "more").mkdir()
    for number in range(11):
        folder = tmp_path / "more" if number % 2 else tmp_path
        Image.new("L", (20, 30), 10 * number).save(folder / f"{number:02d}.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert is_image_data(tmp_path)
    train_images, heldout = (ImageSource(tmp_path, s, (4, 6, 3)) for s in ("train", "heldout"))
    assert (train_images.num_frames, heldout.num_frames) == (10, 1)
    both = [
        source.gather_frames(np.arange(source.num_frames)) for source in (train_images, heldout)
    ]
    assert both[0].shape == (10, 4, 6, 3)
    levels = sorted(int(frame[0, 0, 0]) for frames in both for frame in frames)
    assert levels == [10 * number for number in range(11)]


def test_an_array_of_images(tmp_path):
    path = tmp_path / "digits.npy"
    array = np.arange(20, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    np.save(path, array)
    assert is_image_data(path)
    source = ImageSource(path, "heldout", (4, 4, 3)).in_memory()
    for _ in range(2):
        frames = source.gather_frames(np.array([0, 1, 0]))
        assert frames[:, 0, 0].tolist() == [[9] * 3, [19] * 3, [9] * 3]


def test_grey_images_get_three_equal_channels(tmp_path):
    digits = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    np.save(tmp_path / "digits.npy", digits)
    source = ImageSource(tmp_path / "digits.npy", "heldout", (28, 28, 3))
    assert np.array_equal(source.gather_frames(np.array([0]))[0], digits[9].repeat(3, axis=-1))


def test_wrong_images(tmp_path):
    with pytest.raises(ValueError, match=r"expected images \(.bmp, .*got none"):
        ImageSource(tmp_path, "train", (4, 4, 3))
    with pytest.raises(ValueError, match=r"image_aspect: expected one of .* got 'squeeze'"):
        ImageSource(tmp_path, "train", (4, 4, 3), "squeeze")
    (tmp_path / "a.png").write_text("no image")
    Image.new("L", (4, 4)).save(tmp_path / "b.png")
    source = ImageSource(tmp_path, "train", (4, 4, 3))
    with pytest.raises(ValueError, match=r"expected an image, got .*a\.png"):
        source.gather_frames(np.array([0]))
    with pytest.raises(ValueError, match="expected a folder .* got nothing there"):
        ImageSource(tmp_path / "nowhere", "train", (4, 4, 3))
    np.save(tmp_path / "floats.npy", np.zeros((5, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"expected uint8 .* got float64 \(5, 4, 4, 3\)"):
        ImageSource(tmp_path / "floats.npy", "train", (4, 4, 3))
    (tmp_path / "broken.npy").write_text("nothing")
    with pytest.raises(ValueError, match="expected an array, got a damaged file"):
        ImageSource(tmp_path / "broken.npy", "train", (4, 4, 3))
