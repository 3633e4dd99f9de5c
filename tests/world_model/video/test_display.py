import base64
import io

import av
import numpy as np
import pytest
import torch
from PIL import Image

import worldtokens
from worldtokens.world_model.video.display import (
    Clip,
    Picture,
    save_video,
    show,
)
from worldtokens.world_model.video.writer import BACKGROUND


def decode(source) -> tuple[np.ndarray, float, str]:
    """The frames, the frames per second and the pixel format of a video."""
    with av.open(source) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264" and stream.average_rate is not None
        return np.stack(frames), float(stream.average_rate), str(stream.pix_fmt)


def colours(count: int, height: int = 4, width: int = 5) -> np.ndarray:
    """A clip whose frame t is grey 20 t, with a white pixel at the top left."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames += (20 * np.arange(count, dtype=np.uint8))[:, None, None, None]
    frames[:, 0, 0] = 255
    return frames


def test_a_frame_becomes_a_png_with_sharp_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    shown = show(torch.from_numpy(frame), scale=3)
    assert isinstance(shown, Picture) and repr(shown) == "Picture(4 x 5)"
    with Image.open(io.BytesIO(shown._repr_png_())) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (12, 15, 3)
    # Every pixel of the frame is a square of one colour.
    assert np.array_equal(
        pixels.reshape(4, 3, 5, 3, 3), np.broadcast_to(frame[:, None, :, None], (4, 3, 5, 3, 3))
    )


def test_a_picture_is_saved_as_png(tmp_path):
    shown = show(colours(1)[0], scale=2)
    shown.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == shown._repr_png_()
    with pytest.raises(ValueError, match="path: expected a name that ends in .png, got 'a.mp4'"):
        shown.save("a.mp4")


def test_a_clip_plays_in_a_notebook():
    shown = show(colours(6), fps=7, scale=3)
    assert isinstance(shown, Clip) and repr(shown) == "Clip(6 frames of 4 x 5, 7 frames/s)"
    html = shown._repr_html_()
    assert html.startswith("<video autoplay loop muted ")
    content = html.split("data:video/mp4;base64,")[1].split('"')[0]
    frames, rate, pixel_format = decode(io.BytesIO(base64.b64decode(content)))
    assert (rate, pixel_format) == (7.0, "yuv420p")
    # 4 x 5 pixels three times as large, and one more column: 4:2:0 needs even sides.
    assert frames.shape == (6, 12, 16, 3)
    assert np.abs(frames[:, 8, 8, 0].astype(int) - 20 * np.arange(6)).max() <= 3


def test_clips_play_side_by_side_four_in_a_row():
    clips = np.stack([np.full((2, 3, 4, 3), 40 * number, np.uint8) for number in range(5)])
    shown = show(clips)
    assert isinstance(shown, Clip)
    assert repr(shown) == "Clip(5 clips, 2 frames of 8 x 22, 15 frames/s)"
    frame = shown.frames[1]
    assert frame[0, [0, 3, 6, 12, 18], 0].tolist() == [0, 0, 40, 80, 120]
    assert frame[5, 0, 0] == 160
    # Between the clips, and where a sixth would be.
    for place in ((0, 4), (3, 0), (5, 6)):
        assert tuple(frame[place]) == BACKGROUND


def test_videos_are_written_by_their_ending(tmp_path):
    frames = colours(5, 4, 4)
    save_video(torch.from_numpy(frames), tmp_path / "a.MP4", fps=10, scale=2)
    written, rate, pixel_format = decode(str(tmp_path / "a.MP4"))
    assert written.shape == (5, 8, 8, 3) and (rate, pixel_format) == (10.0, "yuv420p")
    save_video(frames[:3], str(tmp_path / "a.gif"), fps=10, scale=2)
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.size, image.n_frames, image.info["duration"]) == ((8, 8), 3, 100)
        image.seek(2)
        assert image.convert("RGB").getpixel((7, 7)) == (40, 40, 40)
    save_video(frames[0], tmp_path / "one.mp4")
    assert decode(str(tmp_path / "one.mp4"))[0].shape == (1, 16, 16, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.MP4", "a.gif", "one.mp4"]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([[0]], "frames: expected a tensor or a numpy array, got list"),
        (torch.zeros(4, 4, 3), "frames: expected uint8 in .0, 255., got float32"),
        (np.zeros((2, 4, 4), np.uint8), r"frames: expected \(H, W, 3\), .*, got \(2, 4, 4\)"),
        (np.zeros((1, 1, 1, 1, 1, 3), np.uint8), "frames: expected .*, got .1, 1, 1, 1, 1, 3."),
        (np.zeros((0, 4, 4, 3), np.uint8), r"at least one frame, got shape \(0, 4, 4, 3\)"),
    ],
)
def test_wrong_frames_are_named(frames, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        show(frames)
    with pytest.raises(ValueError, match=message):
        save_video(frames, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_wrong_numbers_and_endings_are_named(tmp_path):
    frames = colours(2)
    with pytest.raises(ValueError, match="fps: expected a whole number of at least 1, got 0"):
        show(frames, fps=0)
    with pytest.raises(ValueError, match="fps: expected at most 1000, got 1001"):
        show(frames, fps=1001)
    with pytest.raises(ValueError, match="path: expected a path, got NoneType None"):
        save_video(frames, None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="scale: expected a whole number of at least 1, got 1.5"):
        save_video(frames, tmp_path / "a.gif", scale=1.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="scale: expected at most 1638 for a side of 5 pixels"):
        show(frames, scale=2000)
    with pytest.raises(ValueError, match="ends in .mp4 or .gif, got 'clip.webm'"):
        save_video(frames, "clip.webm")
    with pytest.raises(ValueError, match="fps: expected at most 50 in a .gif, got 60; write a"):
        save_video(frames, tmp_path / "a.gif", fps=60)
    assert list(tmp_path.iterdir()) == []


def test_both_are_public():
    assert worldtokens.show is show and worldtokens.save_video is save_video
