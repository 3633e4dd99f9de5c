import pytest
from PIL import Image

from worldtokens.training.curves import draw_curves
from worldtokens.training.metric_writers import JsonlWriter


def test_curves_are_drawn_one_panel_a_metric(tmp_path):
    metrics, picture = tmp_path / "metrics.jsonl", tmp_path / "curves.png"
    draw_curves(metrics, picture)
    assert not picture.exists()
    writer = JsonlWriter(metrics, 0)
    for step in range(5):
        writer.write(step, {"train/loss": 1 / (step + 1), "heldout/loss": 2 / (step + 1)})
        writer.write(step, {"psnr": 30.0 + step})
    writer.close()
    draw_curves(metrics, picture)
    with Image.open(picture) as image:
        assert image.width == pytest.approx(2 * 4.2 * 110, abs=3)
        colours = image.convert("RGB").getcolors(maxcolors=image.width * image.height)
    assert colours is not None and len(colours) > 10
