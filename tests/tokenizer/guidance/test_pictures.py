import numpy as np
from PIL import Image

from worldtokens.tokenizer.guidance.pictures import MARGIN, save_clip, save_grid


def test_a_grid_has_a_row_for_each_frame_and_a_column_for_each_step(tmp_path):
    frames = np.zeros((3, 2, 4, 5, 3), np.uint8)
    frames[2, 1] = 200
    save_grid(tmp_path / "grid.partial", frames, ["a", "b", "c"], scale=10)
    with Image.open(tmp_path / "grid.partial") as grid:
        assert grid.format == "PNG" and grid.size == (3 * 50, 2 * 40 + MARGIN)
        pixels = np.asarray(grid)
    assert (pixels[MARGIN + 40 :, 100:] == 200).all()
    assert (pixels[MARGIN:, :100] == 0).all()


def test_a_clip_shows_the_frames_side_by_side(tmp_path):
    frames = np.zeros((4, 2, 4, 5, 3), np.uint8)
    frames[3, 0], frames[:, 1] = 255, 100
    save_clip(tmp_path / "clip.partial", frames, scale=2)
    with Image.open(tmp_path / "clip.partial") as clip:
        assert clip.format == "GIF" and clip.size == (2 * 10, 8) and clip.n_frames == 2
        clip.seek(1)
        pixels = np.asarray(clip.convert("RGB"))
    assert (pixels[:, :10] == 255).all() and (pixels[:, 10:] == 100).all()
