import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import make_env
from worldtokens.tokenizer import Tokenizer, evaluate, train
from worldtokens.training.checkpoint import load_checkpoint
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics

ROOT = Path(__file__).resolve().parents[2]


def config_of(overrides, *more):
    return compose(train.TrainConfig, "tokenizer", [*overrides, *more])


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same_state(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        elif key != "seconds":
            assert value == second[key], key


def losses(folder):
    rows = read_metrics(folder / "metrics.jsonl")
    return [(row["step"], row["train/loss"]) for row in rows if "train/loss" in row]


def test_a_run_leaves_what_a_run_folder_holds(overrides, tmp_path):
    train.main(config_of(overrides, "evaluations=2"))
    folder = tmp_path / "FakeGame" / "tokenizer"
    assert [step for step, _ in losses(folder)] == list(range(1, 13))
    heldout = [row for row in read_metrics(folder / "metrics.jsonl") if "heldout/psnr" in row]
    assert [row["step"] for row in heldout] == [6, 12]
    names = ("psnr", "foreground_recall", "flicker", "perplexity", "codes_used")
    assert all(f"heldout/{name}" in heldout[-1] for name in names)
    assert heldout[-1]["heldout/flicker"] == 0.0
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "step_0000006.png", "step_0000012.png",
    ]  # fmt: skip
    with Image.open(folder / "samples" / "step_0000012.png") as sheet:
        assert sheet.width == 2 * (3 * 3 * 24 + 8)
    assert (folder / "curves.png").is_file()
    tokenizer = Tokenizer.from_pretrained(folder)
    assert_same_state(
        dict(tokenizer.state_dict()), load_checkpoint(folder / "checkpoint.pt")["parts"]["model"]
    )
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_training_lowers_the_loss(overrides, tmp_path):
    more = ["budget.max_steps=150", "batch_size=16", "learning_rate=0.01", "model.encoder_width=8"]
    train.main(config_of(overrides, *more, "tokenizer_preset=patch_fsq"))
    values = [loss for _, loss in losses(tmp_path / "FakeGame" / "tokenizer")]
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:10])


def test_interrupted_and_resumed_equals_uninterrupted(overrides, tmp_path, monkeypatch):
    train.main(config_of(overrides, "run=whole"))
    step = train.train_step

    def interrupted(*arguments):
        if arguments[-1].step == 7:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train, "train_step", interrupted)
    # A checkpoint after every step: the interruption loses nothing.
    with pytest.raises(KeyboardInterrupt):
        train.main(config_of(overrides, "run=parts", "checkpoint_every_minutes=0"))
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "FakeGame/parts/checkpoint.pt")["step"] == 7
    train.main(config_of(overrides, "run=parts"))
    whole, parts = tmp_path / "FakeGame/whole", tmp_path / "FakeGame/parts"
    assert losses(parts) == losses(whole)
    first, second = (load_checkpoint(folder / "checkpoint.pt") for folder in (whole, parts))
    assert_same_state(first, second)
    pretrained = [Tokenizer.from_pretrained(folder).fingerprint for folder in (whole, parts)]
    assert pretrained[0] == pretrained[1]


def test_a_finished_run_stays_as_it_is(overrides, tmp_path):
    train.main(config_of(overrides))
    folder = tmp_path / "FakeGame" / "tokenizer"
    before = Tokenizer.from_pretrained(folder).fingerprint
    train.main(config_of(overrides))
    assert Tokenizer.from_pretrained(folder).fingerprint == before
    assert len(losses(folder)) == 12


def test_another_seed_gives_another_model(overrides, tmp_path):
    for seed in (0, 1):
        train.main(config_of(overrides, f"seed={seed}", f"run=seed{seed}"))
    first, second = (losses(tmp_path / "FakeGame" / f"seed{seed}") for seed in (0, 1))
    assert first[0] != second[0]


def test_another_config_on_the_same_folder(overrides, tmp_path):
    train.main(config_of(overrides))
    with pytest.raises(ValueError, match=r"another config \(learning_rate .*run=NAME.*overwrite"):
        train.main(config_of(overrides, "learning_rate=0.5"))
    train.main(config_of(overrides, "learning_rate=0.5", "overwrite=true"))
    train.main(config_of(overrides, "learning_rate=0.5", "log_every=3"))


def test_a_loss_that_is_not_finite_stops_before_the_step(overrides, tmp_path):
    with pytest.raises(FloatingPointError, match=r"is (nan|inf) at step \d+; the step was not"):
        train.main(config_of(overrides, "learning_rate=1e30", "max_gradient_norm=1e30"))


def test_no_dataset(overrides, tmp_path):
    with pytest.raises(ValueError, match=r"is not a dataset.*python collect/run.py env="):
        train.main(config_of(overrides, f"data={tmp_path}/nowhere"))
    assert not (tmp_path / "FakeGame").exists()


def test_frames_of_another_size(overrides):
    with pytest.raises(ValueError, match="its frames are 16x24, the model takes 16x32; set model"):
        train.main(config_of(overrides, "model.frame_width=32"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size=0", "batch_size: expected a positive number, got 0"),
        ("learning_rate=-1.0", "learning_rate: expected a positive number, got -1.0"),
        ("budget={max_steps: null, max_minutes: null}", "budget: give max_steps, max_minutes"),
        ("model.quantizer=magic", "quantizer: expected one of"),
        ("loss.hard_share=2", r"loss.hard_share: expected a share in \(0, 1\]"),
        ("mixed_precision=int4", "mixed_precision: expected one of"),
        ("leraning_rate=1", "'leraning_rate' does not exist in tokenizer.yaml; did you mean learn"),
    ],
)
def test_bad_configs(overrides, override, message):
    with pytest.raises(ValueError, match=message):
        train.main(config_of(overrides, override))


def test_evaluate_prints_and_writes_the_figures(overrides, tmp_path, capsys, dataset, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    train.main(config_of(overrides))
    train.main(config_of(overrides, "run=other", "tokenizer_preset=patch_fsq"))
    capsys.readouterr()
    asked = ["env=FakeGame", f"data={dataset}", f"root={tmp_path}", "frames=20"]
    asked += ["compare=[other]", "probe_frames=100", "picture_frames=4"]
    evaluate.main(compose(evaluate.EvaluateConfig, "tokenizer_evaluate", asked))
    printed = capsys.readouterr().out
    for name in ("PSNR", "SSIM", "foreground recall", "scene 0", "scene 1", "flicker", "bits per"):
        assert name in printed
    rows = {line[:30].strip(): line[30:].split() for line in printed.splitlines()}
    assert rows["20 held-out frames"] == ["tokenizer", "other"]
    assert rows["LPIPS"] == rows["rFID"] == ["weights", "missing", "weights", "missing"]
    assert rows["vocabulary"] == ["16", "512"]
    folder = tmp_path / "FakeGame" / "tokenizer"
    figures = json.loads((folder / "evaluation" / "metrics.json").read_text())
    assert figures["bits_per_frame"] == 24.0
    assert set(figures["foreground_recall_per_scene"]) == {"0", "1"}
    assert figures["fingerprint"] == Tokenizer.from_pretrained(folder).fingerprint
    card = (folder / "export" / "README.md").read_text().splitlines()
    assert f"| PSNR | {figures['psnr']:.2f} dB |" in card
    frames = 18 * 13
    assert f"| trained on | {frames} frames of {dataset} |" in card
    assert any(line.startswith("| trained for | 12 steps in ") for line in card)
    assert any(line.startswith("| trained by | `python ") for line in card)
    assert figures["compared"]["other"]["vocab_size"] == 512
    with Image.open(folder / "evaluation" / "reconstructions.png") as sheet:
        assert sheet.height > 2 * 3 * 16
    with Image.open(folder / "evaluation" / "comparison.png") as sheet:
        assert sheet.width == 3 * 2 * 24 + 8
    assert {"worst_frames.png", "code_use.png"} <= {
        path.name for path in (folder / "evaluation").iterdir()
    }


def test_evaluate_without_a_run(tmp_path, dataset):
    asked = ["env=FakeGame", f"data={dataset}", f"root={tmp_path}"]
    with pytest.raises(
        ValueError, match="no such folder; train one with python tokenizer/train.py"
    ):
        evaluate.main(compose(evaluate.EvaluateConfig, "tokenizer_evaluate", asked))


def command(overrides, *more):
    return [sys.executable, str(ROOT / "tokenizer" / "train.py"), *overrides, *more]


def test_a_killed_run_goes_on_from_its_last_checkpoint(overrides, tmp_path):
    more = ("budget.max_steps=40", "checkpoint_every_minutes=0", "evaluations=1")
    folder = tmp_path / "FakeGame" / "tokenizer"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command(overrides, *more), stderr=log, stdout=log, cwd=tmp_path)
        deadline = time.monotonic() + 60
        while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    reached = load_checkpoint(folder / "checkpoint.pt")["step"]
    assert 1 <= reached < 40
    train.main(config_of(overrides, *more))
    train.main(config_of(overrides, *more, "run=whole"))
    assert [step for step, _ in losses(folder)] == list(range(1, 41))
    assert losses(folder) == losses(tmp_path / "FakeGame" / "whole")


def test_a_user_error_is_one_line(overrides, tmp_path):
    done = subprocess.run(
        command(overrides, "model.frame_width=32"), capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: data=")
    assert "Traceback" not in done.stderr


def test_a_real_game(overrides, tmp_path):
    env = make_env("Pong", frame_height=16, frame_width=24)
    shape = (16, 24, 3)
    write_description(
        tmp_path / "data", DatasetDescription(env.unwrapped.config, tuple("ABCDEF"), shape)
    )
    writer = ShardWriter(tmp_path / "data" / "shards", "test", shape)
    for seed in (0, 9):
        frames, _ = env.reset(seed=seed)
        episode = [frames] + [env.step(step % 6)[0] for step in range(20)]
        writer.append(
            Episode(
                EpisodeInfo(f"e{seed}", seed, "reset", 20, 0.0), np.stack(episode),
                np.arange(20) % 6, np.zeros(20, np.float32), np.zeros(20, bool),
                np.arange(20) == 19, np.zeros((21, 128), np.uint8), np.zeros(21, np.uint8),
            )
        )  # fmt: skip
    writer.flush()
    env.close()
    train.main(config_of(overrides, "env=Pong", f"data={tmp_path}/data"))
    tokenizer = Tokenizer.from_pretrained(tmp_path / "Pong" / "tokenizer")
    assert tokenizer.decode(tokenizer.encode(np.stack(episode))).shape == (21, 16, 24, 3)


@pytest.mark.slow
def test_two_processes_train_one_model(overrides, tmp_path):
    launch = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(ROOT / "tokenizer" / "train.py"), *overrides,
    ]  # fmt: skip
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(launch, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "FakeGame" / "tokenizer"
    assert [step for step, _ in losses(folder)] == list(range(1, 13))
    alone = tmp_path / "alone"
    train.main(config_of(overrides, f"root={alone}"))
    # Another batch on the second rank: other gradients, so other losses from the second step on.
    assert losses(folder)[0] == losses(alone / "FakeGame/tokenizer")[0]
    assert losses(folder)[2] != losses(alone / "FakeGame/tokenizer")[2]
