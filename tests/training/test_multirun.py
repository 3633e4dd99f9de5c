"""Sweeps of the real training command; see also test_command_line.py."""

import sys

import numpy as np
import pytest

from worldtokens.tokenizer import train

TINY = (
    "budget.max_steps=1 budget.max_minutes=null batch_size=2 evaluations=0 heldout_frames=2 "
    "start_frames=4 model.decoder_width=8 wandb.mode=disabled"
).split()


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    return tmp_path / "images.npy"


def sweep(data, tmp_path, monkeypatch, *words):
    script = ["tokenizer/train.py", "-m", "env=FakeGame", f"data={data}", f"root={tmp_path}/runs"]
    sizes = ["model.frame_height=8", "model.frame_width=8"]
    monkeypatch.setattr(sys, "argv", [*script, *sizes, *TINY, *words])
    train.cli()


def test_each_job_has_a_folder_and_a_precision_of_its_own(images, tmp_path, monkeypatch):
    words = ("mixed_precision=no,bf16", "model.codebook_size=4")
    sweep(images, tmp_path, monkeypatch, *words)
    names = sorted(path.name for path in (tmp_path / "runs" / "FakeGame").iterdir())
    assert names == ["tokenizer-mixed_precision_bf16", "tokenizer-mixed_precision_no"]
    sweep(images, tmp_path, monkeypatch, *words, "run=p_${mixed_precision}")
    names = {path.name for path in (tmp_path / "runs" / "FakeGame").iterdir()}
    assert {"p_no", "p_bf16"} <= names


def test_one_bad_job_costs_no_other(images, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="1"):
        words = ("model.codebook_size=4,1,8", "mixed_precision=no")
        sweep(images, tmp_path, monkeypatch, *words)
    names = sorted(path.name for path in (tmp_path / "runs" / "FakeGame").iterdir())
    assert names == ["tokenizer-codebook_size_4", "tokenizer-codebook_size_8"]
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1] == "error: 1 of 3 jobs failed"
    assert "model.codebook_size=1" in lines[-2] and "expected a whole number of at l" in lines[-2]
