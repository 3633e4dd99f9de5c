import numpy as np
import pytest

from worldtokens.tokenizer.evaluation.metrics import CodeUse, Recall
from worldtokens.tokenizer.evaluation.probes import ProbeScores
from worldtokens.tokenizer.evaluation.reconstruction import Evaluation
from worldtokens.tokenizer.evaluation.report import MISSING, EvalReport
from worldtokens.tokenizer.evaluation.tables import as_json, cells, table


@pytest.fixture
def report(tiny_tokenizer) -> EvalReport:
    evaluation = Evaluation(
        reconstructions=np.zeros((2, 16, 24, 3), np.uint8),
        psnr_per_frame=np.array([20.0, 30.0]),
        ssim=0.5,
        recall=Recall({0: 4, 3: 4}, {0: 1, 3: 4}),
        flicker=0.0,
        code_use=CodeUse.of(np.array([[0, 0, 0, 1, 1, 1]]), 12),
    )
    probes = ProbeScores({"x": 0.5, "y": 1.0}, {"x": 0.25, "y": 0.25}, {"x": 0.5, "y": 0.5})
    return EvalReport(tiny_tokenizer, evaluation, 123.4, 0.125, MISSING, probes)


def test_cells_are_formatted(report):
    values = dict(cells(report))
    expected = {
        "tokens per frame": "6", "vocabulary": "12", "PSNR, dB": "25.00", "SSIM": "0.5000",
        "LPIPS": "0.1250", "rFID": "weights missing", "foreground recall": "0.625",
        "foreground recall, worst scene": "0.250", "  scene 3": "1.000", "flicker": "0.0000",
        "code perplexity": "2.0", "codes used": "16.7%", "bits per frame, used": "6",
        "encode, frames/s": "123", "probe F1, code vectors": "0.750", "probe F1, majority": "0.250",
    }  # fmt: skip
    assert expected.items() <= values.items()


def test_a_table_has_a_column_for_each_run(report):
    lines = table({"first": report, "second": report}, frames=20).splitlines()
    assert lines[0].split() == ["20", "held-out", "frames", "first", "second"]
    rows = {line[:30].strip(): line[30:].split() for line in lines}
    assert rows["SSIM"] == ["0.5000", "0.5000"]


def test_json_holds_numbers_and_the_fingerprint(report):
    tree = as_json(report)
    assert tree["fingerprint"] == report.tokenizer.fingerprint
    assert (tree["psnr"], tree["lpips"], tree["flicker"]) == (25.0, 0.125, 0.0)
    assert "rfid" not in tree
    assert tree["foreground_recall_per_scene"] == {0: 0.25, 3: 1.0}
    assert tree["probe_f1"]["codes"] == {"x": 0.5, "y": 1.0}
