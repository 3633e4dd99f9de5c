import av
import numpy as np
from PIL import Image

from worldtokens.world_model.video.writer import (
    CAPTION,
    GAP,
    Panel,
    compose_clip,
    step_caption,
    write_gif,
    write_mp4,
)


def panel(value: int, title: str = "a") -> Panel:
    """Two frames of 5 x 3 pixels of one grey level."""
    return Panel(title, np.full((2, 5, 3, 3), value, np.uint8), ["", "!END"])


def test_captions_mark_rewards_and_ends():
    assert step_caption(0.0, False, action="LEFT") == "LEFT  reward 0"
    assert step_caption(100.0, False) == "$reward 100"
    assert step_caption(0.0, True, action="UP") == "!UP  reward 0  END"
    assert step_caption(0.0, False, True, "UP") == "!UP  reward 0  LIFE LOST"
    assert step_caption(5.0, True, True) == "!reward 5  LIFE LOST  END"


def test_panels_are_enlarged_side_by_side():
    clip = compose_clip([panel(90), panel(200)], ["step +0", "step +1"], scale=3)
    assert len(clip) == 2 and clip[0].dtype == np.uint8
    # Two panels 9 wide with gaps; the header, a title, 15 rows of pixels and a caption.
    width, height = GAP + 2 * (9 + GAP), CAPTION + CAPTION + 15 + CAPTION
    assert clip[0].shape == (height + height % 2, width + width % 2, 3)
    top = 2 * CAPTION
    assert (clip[0][top : top + 15, GAP : GAP + 9] == 90).all()
    assert (clip[0][top : top + 15, 2 * GAP + 9 : 2 * GAP + 18] == 200).all()
    # The caption of the end is red.
    below = clip[1][top + 15 :, GAP : GAP + 9].astype(int)
    assert (below[..., 0] - below[..., 1]).max() > 100


def test_a_fifth_panel_begins_a_row():
    clip = compose_clip([panel(50)] * 5, ["", ""], scale=1)
    below = CAPTION + CAPTION + 5 + CAPTION + CAPTION
    assert (clip[0][below : below + 5, GAP : GAP + 3] == 50).all()
    assert clip[0].shape[1] == GAP + 4 * (3 + GAP)


def frames() -> list[np.ndarray]:
    return [np.full((16, 32, 3), value, np.uint8) for value in (20, 120, 220)]


def test_a_video_plays_in_browsers(tmp_path):
    write_mp4(tmp_path / "clip.mp4", frames(), fps=15)
    with av.open(str(tmp_path / "clip.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 15
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert [round(float(frame.mean()) / 10) for frame in shown] == [2, 12, 22]
    content = (tmp_path / "clip.mp4").read_bytes()
    # The index stands in front, so that playing can begin before all is loaded.
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_gif_repeats_with_sharp_colours(tmp_path):
    write_gif(tmp_path / "clip.gif", frames(), fps=20)
    with Image.open(tmp_path / "clip.gif") as gif:
        assert gif.n_frames == 3 and gif.info["loop"] == 0  # pyright: ignore
        assert gif.info["duration"] == 50
        values = []
        for number in range(3):
            gif.seek(number)
            values.append(np.unique(np.asarray(gif.convert("RGB"))).tolist())
    assert values == [[20], [120], [220]]


def test_a_gif_has_the_colours_of_frames_between(tmp_path):
    clip = [np.full((16, 32, 3), 30, np.uint8) for _ in range(15)]
    clip[4] = np.full((16, 32, 3), (250, 120, 10), np.uint8)
    write_gif(tmp_path / "clip.gif", clip, fps=20)
    with Image.open(tmp_path / "clip.gif") as gif:
        gif.seek(1)
        # Equal frames are one frame that is shown longer, so this is the fifth.
        assert np.unique(np.asarray(gif.convert("RGB")).reshape(-1, 3), axis=0).tolist() == [
            [250, 120, 10]
        ]


def test_equal_frames_give_equal_files(tmp_path):
    generator = np.random.default_rng(0)
    still = generator.integers(0, 256, (16, 20, 3)).astype(np.uint8).repeat(8, 0).repeat(12, 1)
    frames = []
    for t in range(12):
        frame = still[:126, :218].copy()
        frame[20:40, 10 + 4 * t : 30 + 4 * t] = generator.integers(0, 256, 3)
        frames.append(frame)
    files = set()
    for _ in range(60):
        # Other memory each time: what the encoder reads beside the frame must not matter.
        for size in generator.integers(1_000, 300_000, 20):
            generator.integers(0, 256, size).astype(np.uint8)
        write_mp4(tmp_path / "clip.mp4", frames, 15)
        files.add((tmp_path / "clip.mp4").read_bytes())
    assert len(files) == 1
