import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from worldtokens.common.images import describe_lack, list_images, read_image


def pixels_of(path):
    return np.asarray(read_image(path))


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png")[..., 1], ramp >> 8)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif")[..., 0], ramp >> 8)


@pytest.mark.parametrize(
    ("values", "message"),
    (
        (
            np.full((4, 4), 200, np.float32),
            r"mode F \(32 bits\) from 200 to 200, a range",
        ),
        (np.full((4, 4), np.nan, np.float32), r"mode F \(32 bits\) from nan to nan"),
        (np.ones((4, 4), np.int32), r"mode I \(32 bits\) from 1 to 1"),
    ),
)
def test_values_of_an_unknown_range_are_refused(tmp_path, values, message):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=f"a.tif: .*{message}"):
        read_image(tmp_path / "a.tif")


def test_floats_from_0_to_1_are_scaled(tmp_path):
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32)[None]).save(tmp_path / "a.tif")
    assert pixels_of(tmp_path / "a.tif")[0, :, 2].tolist() == list(range(256))


def test_pictures_are_turned_as_viewers_show_them(tmp_path):
    side = Image.new("RGB", (64, 32))
    side.paste((255, 255, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    side.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = pixels_of(tmp_path / "a.jpg")
    assert pixels.shape == (64, 32, 3)
    assert pixels[2, 16].tolist() == [255] * 3 and pixels[60, 16].tolist() == [0] * 3


def test_transparent_pixels_are_black(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    rgba[..., 3] = 0
    rgba[0, 0] = (255, 0, 10, 255)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "a.png")
    pixels = pixels_of(tmp_path / "a.png")
    assert pixels[0, 0].tolist() == [255, 0, 10] and pixels.sum() == 265
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=1)
    pixels = pixels_of(tmp_path / "p.png")
    assert pixels[0, 0].tolist() == [9, 9, 9] and pixels.sum() == 27
    palette.save(tmp_path / "q.png")
    assert pixels_of(tmp_path / "q.png")[1, 1].tolist() == [200, 0, 0]


def test_bombs_and_damage_name_the_file(tmp_path, monkeypatch):
    Image.new("1", (200, 200)).save(tmp_path / "big.png")
    with monkeypatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ValueError, match="big.png: expected an image of at most 200 pixels"):
            read_image(tmp_path / "big.png")
        # Pillow warns here.
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
        assert read_image(tmp_path / "big.png").size == (200, 200)
    info = PngImagePlugin.PngInfo()
    info.add_text("k", "x" * 20_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "text.png", pnginfo=info)
    with pytest.raises(ValueError, match="text.png: expected an image, got a file that cannot be"):
        read_image(tmp_path / "text.png")
    whole = (tmp_path / "big.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="half.png: expected an image") as caught:
        read_image(tmp_path / "half.png")
    assert "\n" not in str(caught.value)


def test_a_file_of_several_pictures_is_refused(tmp_path):
    frames = [Image.new("RGB", (4, 4), (n, 0, 0)) for n in (0, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(ValueError, match="it holds 2 pictures; save each to a file of its own"):
        read_image(tmp_path / "a.webp")


def test_files_come_in_natural_order_without_hidden_ones(tmp_path):
    for name in ("f10.png", "f2.PNG", "a.jpg", "._f2.png", "notes.txt", "²1.png", "__M/._x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in list_images(tmp_path, recursive=True)]
    assert names == ["a.jpg", "f2.PNG", "f10.png", "²1.png"]


def test_what_is_there_instead_is_named(tmp_path):
    assert describe_lack(tmp_path, recursive=True).endswith("got none")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.gif").touch()
    assert describe_lack(tmp_path, recursive=True).endswith("got .gif files; convert them to PNG")
