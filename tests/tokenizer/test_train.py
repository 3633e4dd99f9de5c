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
from worldtokens.tokenizer import Tokenizer, train
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
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} <= {".lock"}


ADVERSARY = "adversary={weight: 0.1, start: 2, warmup: 4, width: 4, depth: 1}"


def test_training_lowers_the_loss(overrides, tmp_path):
    more = ["budget.max_steps=150", "batch_size=16", "learning_rate=0.01", "model.encoder_width=8"]
    train.main(config_of(overrides, *more, "tokenizer_preset=patch_fsq"))
    values = [loss for _, loss in losses(tmp_path / "FakeGame" / "tokenizer")]
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:10])


@pytest.mark.parametrize("more", [(), ("ema_decay=0.5", ADVERSARY)])
def test_interrupted_and_resumed_equals_uninterrupted(overrides, tmp_path, monkeypatch, more):
    train.main(config_of(overrides, *more, "run=whole"))
    step = train.train_step

    def interrupted(*arguments):
        if arguments[-1].step == 7:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train, "train_step", interrupted)
    # A checkpoint after every step: the interruption loses nothing.
    with pytest.raises(KeyboardInterrupt):
        train.main(config_of(overrides, *more, "run=parts", "checkpoint_every_minutes=0"))
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "FakeGame/parts/checkpoint.pt")["step"] == 7
    train.main(config_of(overrides, *more, "run=parts"))
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
    with pytest.raises(ValueError, match=r"another config \(batch_size .*run=NAME.*overwrite"):
        train.main(config_of(overrides, "batch_size=3"))
    train.main(config_of(overrides, "batch_size=3", "overwrite=true"))
    train.main(config_of(overrides, "batch_size=3", "log_every=3"))


def test_a_run_goes_on_with_a_larger_budget_and_another_learning_rate(overrides, tmp_path):
    train.main(config_of(overrides))
    folder = tmp_path / "FakeGame" / "tokenizer"
    steps = len(losses(folder))
    train.main(config_of(overrides, f"budget.max_steps={2 * steps}", "learning_rate=1e-4"))
    assert len(losses(folder)) == 2 * steps


def test_a_loss_that_is_not_finite_stops_before_the_step(overrides, tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"at step \d+: expected a finite number, got (nan|inf)"
    ):
        train.main(config_of(overrides, "learning_rate=1e30", "max_gradient_norm=1e30"))


def test_no_dataset(overrides, tmp_path):
    with pytest.raises(ValueError, match=r"is not a dataset.*python collect/run.py env="):
        train.main(config_of(overrides, f"data={tmp_path}/nowhere"))
    assert not (tmp_path / "FakeGame").exists()


def test_frames_of_another_size(overrides):
    with pytest.raises(ValueError, match="expected frames of 16x32, .* got 16x24; set model"):
        train.main(config_of(overrides, "model.frame_width=32"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size=0", "batch_size: expected a whole number of at least 1, got 0"),
        ("learning_rate=-1.0", "learning_rate: expected a number above 0, got -1.0"),
        (
            "budget={max_steps: null, max_minutes: null}",
            "budget: expected max_steps, max_minutes or both, got neither",
        ),
        ("model.quantizer=magic", "quantizer: expected one of"),
        ("loss.hard_share=2", r"loss.hard_share: expected a number in \(0, 1\]"),
        ("mixed_precision=int4", "mixed_precision: expected one of"),
        ("leraning_rate=1", "'leraning_rate' does not exist in tokenizer.yaml; did you mean learn"),
    ],
)
def test_bad_configs(overrides, override, message):
    with pytest.raises(ValueError, match=message):
        train.main(config_of(overrides, override))


@pytest.mark.parametrize("regularizer", ["none", "lecam", "r1"])
def test_a_run_with_a_discriminator(overrides, tmp_path, regularizer):
    more = [
        f"adversary={{weight: 0.1, start: 4, warmup: 4, width: 4, depth: 1, "
        f"regularizer: {regularizer}}}",
        "ema_decay=0.5", "loss.foreground=1",
    ]  # fmt: skip
    train.main(config_of(overrides, *more))
    rows = [
        row
        for row in read_metrics(tmp_path / "FakeGame" / "tokenizer" / "metrics.jsonl")
        if "train/loss" in row
    ]
    assert ["train/adversarial" in row for row in rows] == [False] * 4 + [True] * 8
    last = rows[-1]
    assert {"train/adaptive_lambda", "train/discriminator", "train/foreground"} <= set(last)
    assert (f"train/{regularizer}" in last) == (regularizer != "none")
    assert all(np.isfinite(value) for value in last.values())


def test_an_adversarial_run_in_bfloat16_stays_finite(overrides, tmp_path):
    more = [
        "mixed_precision=bf16", "tokenizer_preset=patch_fsq", "model.encoder_width=16",
        "adversary={weight: 0.8, start: 0, warmup: 0, width: 8, depth: 2, learning_rate: 1e-3}",
        "budget.max_steps=20",
    ]  # fmt: skip
    train.main(config_of(overrides, *more))
    rows = read_metrics(tmp_path / "FakeGame" / "tokenizer" / "metrics.jsonl")
    steps = [row for row in rows if "train/adversarial" in row]
    assert len(steps) == 20
    assert all(np.isfinite(value) for row in steps for value in row.values())
    weights = Tokenizer.from_pretrained(tmp_path / "FakeGame" / "tokenizer").state_dict()
    assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())


def test_a_run_with_lpips(overrides, tmp_path, vgg16_weights):
    more = ["loss.perceptual=1", f"loss.perceptual_weights={vgg16_weights}", "budget.max_steps=2"]
    train.main(config_of(overrides, *more))
    folder = tmp_path / "FakeGame" / "tokenizer"
    assert read_metrics(folder / "metrics.jsonl")[-1].get("heldout/psnr") is not None
    names = Tokenizer.from_pretrained(folder).state_dict()
    assert not [name for name in names if "distance" in name]


def test_grey_digits_of_28_pixels(overrides, tmp_path):
    # A toy set as MNIST is, or the frames of a grey gymnasium environment.
    digits = np.zeros((40, 28, 28, 1), np.uint8)
    for number, digit in enumerate(digits):
        digit[number % 7 * 4 : number % 7 * 4 + 4, 8:20] = 255
    np.save(tmp_path / "digits.npy", digits)
    size = ["model.frame_height=28", "model.frame_width=28"]
    more = ["env=digits", f"data={tmp_path}/digits.npy", *size]
    train.main(config_of(overrides, *more))
    tokenizer = Tokenizer.from_pretrained(tmp_path / "digits" / "tokenizer")
    assert tokenizer.grid == (4, 4)
    frames = digits.repeat(3, axis=-1)
    error = tokenizer.decode(tokenizer.encode(frames)).numpy().astype(int) - frames
    assert abs(error).mean() < 10


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
