import numpy as np
from PIL import Image

from worldtokens.world_model.evaluation.metrics import Fidelity
from worldtokens.world_model.evaluation.plots import save_clip_grid, save_fidelity_curves


def test_a_grid_has_a_clip_a_row(tmp_path):
    clips = [np.full((3, 4, 6, 3), value, np.uint8) for value in (50, 200)]
    clips[1][2] = 90
    save_clip_grid(tmp_path / "grid.png", clips, ["real", "imagined"], ["+1", "+2", "+3"], scale=2)
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image)
    # 70 pixels for names, 14 for labels; frames of 8 x 12 pixels with 2 between them.
    assert pixels.shape == (14 + 2 * 10, 70 + 3 * 14, 3)
    assert (pixels[14:22, 70:82] == 50).all() and (pixels[24:32, 70:82] == 200).all()
    assert (pixels[24:32, 98:110] == 90).all()


def row(horizon, predictor, psnr):
    nan = float("nan")
    return Fidelity(horizon, predictor, -1, 4, psnr, 0.5, 0.9, nan, nan)


def test_curves_of_several_runs_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.plot",
        lambda self, x, y, style, label, markersize: drawn.append((label, list(x), list(y))),
    )
    mine = [row(h, name, 20.0 + h) for h in (1, 2) for name in ("dream", "copy", "tokenizer")]
    other = [row(h, name, 10.0 + h) for h in (1, 2) for name in ("dream", "copy", "tokenizer")]
    save_fidelity_curves(tmp_path / "curves.png", {"mine": mine, "other": other}, "title")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    # Of the other run the dreams only; the player's metrics are not known, so not drawn.
    assert drawn[:4] == [
        ("dream", [1, 2], [21.0, 22.0]), ("copy", [1, 2], [21.0, 22.0]),
        ("tokenizer", [1, 2], [21.0, 22.0]), ("other", [1, 2], [11.0, 12.0]),
    ]  # fmt: skip
    labels = [label for label, _, _ in drawn]
    # PSNR, recall and token accuracy.
    assert labels.count("dream") == 3 and labels.count("tokenizer") == 2
