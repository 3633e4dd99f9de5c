import json

import numpy as np
import pytest
from PIL import Image

from worldtokens.tokenizer import Tokenizer, evaluate, train
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics


def run(*overrides):
    evaluate.main(compose(evaluate.EvaluateConfig, "tokenizer_evaluate", [*overrides]))


def train_run(overrides, *more):
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))


def test_evaluate_prints_and_writes_the_metrics(overrides, tmp_path, capsys, dataset, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    train_run(overrides)
    train_run(overrides, "run=other", "tokenizer_preset=patch_fsq")
    capsys.readouterr()
    options = ["env=FakeGame", f"data={dataset}", f"root={tmp_path}", "frames=20"]
    options += ["compare=[other]", "probe_frames=100", "picture_frames=4"]
    run(*options)
    printed = capsys.readouterr().out
    for name in ("PSNR", "SSIM", "foreground recall", "scene 0", "scene 1", "flicker", "bits per"):
        assert name in printed
    rows = {line[:30].strip(): line[30:].split() for line in printed.splitlines()}
    assert rows["20 held-out frames"] == ["tokenizer", "other"]
    assert rows["LPIPS"] == rows["rFID"] == ["weights", "missing", "weights", "missing"]
    assert rows["vocabulary"] == ["16", "512"]
    folder = tmp_path / "FakeGame" / "tokenizer"
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())
    assert metrics["bits_per_frame"] == 24.0
    assert set(metrics["foreground_recall_per_scene"]) == {"0", "1"}
    assert metrics["fingerprint"] == Tokenizer.from_pretrained(folder).fingerprint
    card = (folder / "export" / "README.md").read_text().splitlines()
    assert f"| PSNR | {metrics['psnr']:.2f} dB |" in card
    frames = 18 * 13
    assert f"| trained on | {frames} frames of {dataset} |" in card
    assert any(line.startswith("| trained for | 12 steps in ") for line in card)
    assert any(line.startswith("| trained by | `python ") for line in card)
    assert metrics["compared"]["other"]["vocab_size"] == 512
    with Image.open(folder / "evaluation" / "reconstructions.png") as sheet:
        assert sheet.height > 2 * 3 * 16
    with Image.open(folder / "evaluation" / "comparison.png") as sheet:
        assert sheet.width == 3 * 2 * 24 + 8
    assert {"worst_frames.png", "code_use.png"} <= {
        path.name for path in (folder / "evaluation").iterdir()
    }


def test_evaluate_without_a_run(tmp_path, dataset, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = "no such folder; train one with worldtokens train-tokenizer"
    with pytest.raises(ValueError, match=message):
        run("env=FakeGame", f"data={dataset}", f"root={tmp_path}")


def test_a_tokenizer_of_other_frames_cannot_be_compared(overrides, tmp_path, new_tiny_tokenizer):
    export = tmp_path / "FakeGame" / "tokenizer" / "export"
    new_tiny_tokenizer().save_pretrained(export)
    new_tiny_tokenizer(frame_height=24).save_pretrained(tmp_path / "other")
    message = (
        r"compare: expected tokenizers of frames \(16, 24, 3\), as tokenizer takes, got .*other"
    )
    with pytest.raises(ValueError, match=message):
        run("env=FakeGame", f"root={tmp_path}", f"compare=[{tmp_path}/other]")


def test_frames_of_an_odd_size(overrides, tmp_path, capsys, make_dataset):
    rng = np.random.default_rng(0)
    episodes = [rng.integers(0, 256, (5, 21, 18, 3), dtype=np.uint8) for _ in range(20)]
    for episode in episodes:
        episode[:, 8:] = episode[0, 8:]
    make_dataset(tmp_path / "data", episodes, [0, 1] * 10, "FakeGame")
    more = [
        f"data={tmp_path}/data", "model.frame_height=21", "model.frame_width=18",
        "adversary={weight: 0.1, start: 4, warmup: 1, width: 4, depth: 1}",
        "loss.foreground=0.5", "budget.max_steps=8",
    ]  # fmt: skip
    train_run(overrides, *more)
    loaded = Tokenizer.from_pretrained(tmp_path / "FakeGame" / "tokenizer")
    assert loaded.frame_shape == (21, 18, 3) and loaded.grid == (3, 3)
    options = ["env=FakeGame", f"data={tmp_path}/data", f"root={tmp_path}", "picture_frames=4"]
    run(*options)
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["tokens per frame"] == ["9"] and rows["flicker"] == ["0.0000"]


def test_images_have_neither_flicker_nor_foreground(overrides, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "toys.npy", rng.integers(0, 256, (30, 28, 28), dtype=np.uint8))
    more = [
        "env=toys", f"data={tmp_path}/toys.npy", "tokenizer_preset=vqgan256", "budget.max_steps=2",
        "model={frame_height: 16, frame_width: 16, encoder_width: 32, encoder_depth: 1, "
        "channel_multipliers: [1, 2], attention_resolutions: [8], latent_channels: 16, "
        "code_dim: 8, codebook_size: 32}",
        "adversary={weight: 0.5, start: 0, warmup: 0, width: 4, depth: 1}",
    ]  # fmt: skip
    train_run(overrides, *more)
    folder = tmp_path / "toys" / "tokenizer"
    heldout = read_metrics(folder / "metrics.jsonl")[-1]
    assert "heldout/psnr" in heldout and "heldout/flicker" not in heldout
    assert Tokenizer.from_pretrained(folder).grid == (8, 8)
    options = ["env=toys", f"data={tmp_path}/toys.npy", f"root={tmp_path}"]
    run(*options)
    printed = capsys.readouterr().out
    assert "PSNR" in printed and "flicker" not in printed and "foreground" not in printed
    with pytest.raises(ValueError, match="loss.foreground: expected 0 for images"):
        more += ["loss.foreground=1", "run=other"]
        train_run(overrides, *more)
