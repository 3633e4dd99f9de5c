import numpy as np
from PIL import Image

from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation.metrics import CodeUse, Recall
from worldtokens.tokenizer.evaluation.plots import (
    HIT,
    MISS,
    save_code_use,
    save_comparison,
    save_sheet,
)
from worldtokens.tokenizer.evaluation.reconstruction import Evaluation


def heldout_of(frames, foreground):
    return HeldoutFrames(frames, None, np.zeros(len(frames), np.int64), foreground)


def test_a_sheet_marks_kept_and_lost_foreground(tmp_path):
    frames = np.full((1, 8, 8, 3), 100, np.uint8)
    reconstructions = frames.copy()
    reconstructions[0, 7, 7] = 255
    foreground = np.zeros((1, 8, 8), bool)
    foreground[0, 7, 6:] = True
    use = CodeUse.of(np.zeros((1, 1), np.int64), 2)
    evaluation = Evaluation(reconstructions, np.zeros(1), 1.0, Recall({}, {}), 0.0, use)
    save_sheet(
        tmp_path / "sheet.png", heldout_of(frames, foreground), evaluation, np.array([0]),
        columns=1, scale=2,
    )  # fmt: skip
    with Image.open(tmp_path / "sheet.png") as sheet:
        # Below a heading and a label of 14 pixels each: three frames of 16 pixels.
        cells = np.asarray(sheet)[28:, :48].reshape(16, 3, 16, 3)[::2, :, ::2]
    assert np.array_equal(cells[:, 0], frames[0])
    assert np.array_equal(cells[:, 1], reconstructions[0])
    assert cells[7, 2, 6].tolist() == list(HIT) and cells[7, 2, 7].tolist() == list(MISS)
    assert cells[0, 2, 0].tolist() == [30, 30, 30]


def test_a_comparison_has_a_column_for_each_run(tmp_path):
    frames = np.arange(2, dtype=np.uint8)[:, None, None, None] + np.zeros((2, 8, 8, 3), np.uint8)
    heldout = heldout_of(frames, np.zeros((2, 8, 8), bool))
    runs = {"first": frames + 50, "second": frames + 90}
    save_comparison(tmp_path / "comparison.png", heldout, runs, np.array([1]), scale=1)
    with Image.open(tmp_path / "comparison.png") as picture:
        assert np.asarray(picture)[30, [0, 8, 16], 0].tolist() == [1, 51, 91]


def test_code_use_is_drawn(tmp_path):
    save_code_use(tmp_path / "use.png", {"run": CodeUse.of(np.array([[0, 0, 1]]), 4)})
    with Image.open(tmp_path / "use.png") as picture:
        assert picture.size == (770, 440)
