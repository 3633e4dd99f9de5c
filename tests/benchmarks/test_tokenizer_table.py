import csv
import json
import math

import numpy as np
import pytest
import tokenizer_table
from PIL import Image
from tokenizer_table import read_designs

from worldtokens.tokenizer import train
from worldtokens.tokenizer.evaluation import probes
from worldtokens.training.command_line import compose

TINY = [
    "budget={max_minutes: null, max_steps: 3}",
    "batch_size=2",
    "start_frames=20",
    "heldout_frames=4",
    "mixed_precision=no",
    "model.decoder_width=8",
    "model.encoder_width=8",
    "model.decoder_depth=0",
    "model.decoder_fine_depth=0",
]


def test_a_table_of_two_designs(dataset, tmp_path, monkeypatch, run_script):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr(probes, "STEPS", 3)
    designs = tmp_path / "two.yaml"
    designs.write_text(
        "small: [model.codebook_size=16]\n"
        "gan: [tokenizer_preset=patch_fsq, adversary.weight=0.5, adversary.start=1]\n"
    )
    arguments = ["--data", dataset, "--designs", designs, "--root", tmp_path / "runs"]
    arguments += ["--out", tmp_path, "--frames", 20, "--probe-frames", 25, "--set", *TINY]
    run_script(tokenizer_table.main, *arguments)
    with open(tmp_path / "two_FakeGame.csv") as file:
        small, gan = csv.DictReader(file)
    assert (small["design"], small["tokens"], small["vocabulary"]) == ("small", "16", "16")
    assert (gan["design"], gan["tokens"], gan["bits"]) == ("gan", "16", str(16 * 9.0))
    assert small["loss"] == "1 L1 + 0.5 hard" and gan["loss"] == "1 L1 + 0.5 hard + 0.5 GAN"
    assert small["lpips"] == small["rfid"] == "weights missing"
    assert small["steps"] == "3" and float(small["train_rate"]) > 0
    for name in ("psnr", "ssim", "recall", "flicker", "perplexity", "encode_rate"):
        assert math.isfinite(float(small[name])), name
    page = (tmp_path / "two_FakeGame.md").read_text()
    assert "| weights missing |" in page and "No design was trained with LPIPS" in page
    assert "20 held-out frames" in page and "25 training frames" in page
    with Image.open(tmp_path / "two_FakeGame.png") as sheet:
        assert sheet.width == 3 * 2 * 32 + 8

    # A second call trains and evaluates nothing.
    before = (tmp_path / "two_FakeGame.csv").read_text()
    monkeypatch.setattr(train, "main", lambda config: pytest.fail("trained again"))
    row_file = tmp_path / "runs" / "FakeGame" / "gan" / tokenizer_table.ROW_FILE
    stored = json.loads(row_file.read_text())
    # As earlier versions wrote it.
    row_file.write_text(json.dumps({"asked": stored["settings"], "row": stored["row"]}))
    run_script(tokenizer_table.main, *arguments)
    assert (tmp_path / "two_FakeGame.csv").read_text() == before
    run_script(tokenizer_table.main, *arguments, "--only", "gan")
    assert len((tmp_path / "two_FakeGame.csv").read_text().splitlines()) == 2


def test_a_table_of_images(tmp_path, run_script):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "toys.npy", rng.integers(0, 256, (30, 28, 28), dtype=np.uint8))
    run_script(
        tokenizer_table.main,
        "--data",
        tmp_path / "toys.npy",
        "--only",
        "fast",
        "--root",
        tmp_path,
        "--out",
        tmp_path,
        "--frames",
        3,
        "--set",
        *TINY,
        "model.codebook_size=16",
        "model.frame_height=28",
        "model.frame_width=28",
    )
    (row,) = csv.DictReader((tmp_path / "field_toys.csv").read_text().splitlines())
    assert row["tokens"] == "16" and row["recall"] == row["probe_f1"] == ""


@pytest.mark.parametrize("path", sorted((tokenizer_table.HERE / "designs").glob("*.yaml")))
def test_designs_are_configs(path):
    for overrides in read_designs(path, None).values():
        compose(train.TrainConfig, "tokenizer", ["env=FakeGame", *overrides])


def test_wrong_designs(tmp_path):
    path = tokenizer_table.HERE / "designs" / "field.yaml"
    with pytest.raises(ValueError, match="--only: expected some of fast, iris, .*, got iris3"):
        read_designs(path, ["iris3"])
    (tmp_path / "bad.yaml").write_text("fast: tokenizer_preset=fast")
    with pytest.raises(ValueError, match="--designs: expected names, each with a list"):
        read_designs(tmp_path / "bad.yaml", None)
