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

from worldtokens.hub.model_card import CardFacts
from worldtokens.training.checkpoint import load_checkpoint
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics
from worldtokens.world_model import WorldModel, train
from worldtokens.world_model.training.config import TrainConfig
from worldtokens.world_model.training.losses import WorldModelLoss

SCRIPT = Path(train.__file__)


def config(overrides, *more) -> TrainConfig:
    return compose(TrainConfig, "world_model", [*overrides, *more])


def command(overrides, *more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *overrides, *more], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def same_tensors(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_a_run_leaves_config_metrics_pictures_state_and_a_model(overrides, tmp_path):
    train.main(config(overrides))
    folder = tmp_path / "runs" / "FakeGame" / "world_model"
    rows = read_metrics(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if "train/nats_per_frame" in row] == [2, 4, 6, 8, 10, 12]
    heldout = [row for row in rows if "heldout/nats_per_frame" in row]
    assert [row["step"] for row in heldout] == [6, 12]
    assert 0 < heldout[-1]["heldout/copy_accuracy"] < 1
    assert 0 < heldout[-1]["heldout/token_accuracy"] <= 1
    dreams = np.asarray(Image.open(folder / "samples" / "step_0000012.png"))
    assert dreams.shape[0] >= 6 * 2 * 16  # Three dreams, each real above imagined, twice as large.
    assert (folder / "curves.png").is_file() and (folder / "config.yaml").is_file()
    model = WorldModel.from_pretrained(folder)
    assert model.config.game == "FakeGame" and model.config.num_actions == 3
    assert model.config.reward_values == [0.0, 100.0] and model.config.grid == (2, 4)
    assert model.config.vocab_size == 64 and not model.training
    state = load_checkpoint(folder / "checkpoint.pt")
    assert state is not None and state["step"] == 12
    assert same_tensors(state["parts"]["model"], dict(model.state_dict()))


def test_the_card_says_how_the_model_was_trained(overrides, tmp_path, dataset):
    train.main(compose(TrainConfig, "world_model", overrides))
    folder = tmp_path / "runs" / "FakeGame" / "world_model"
    facts = WorldModel.from_pretrained(folder).facts
    assert facts.game == "FakeGame"
    assert facts.data == f"{18 * 13} frames of 18 episodes of {dataset}"
    assert facts.training is not None and facts.training.startswith("12 steps in ")
    assert 0 < facts.metrics["nats_per_frame"] < 100
    assert f"| trained for | {facts.training} |" in (folder / "export" / "README.md").read_text()


def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    overrides, tmp_path, monkeypatch
):
    train.main(config(overrides, "run=whole"))
    step = train.train_step

    def interrupted(*arguments):
        if arguments[-1].step == 7:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.main(config(overrides, "run=parts", "checkpoint_every_minutes=0"))
    monkeypatch.setattr(train, "train_step", step)
    folder = tmp_path / "runs" / "FakeGame"
    state = load_checkpoint(folder / "parts" / "checkpoint.pt")
    assert state is not None and state["step"] == 7
    train.main(config(overrides, "run=parts", "checkpoint_every_minutes=0"))
    whole, parts = (load_checkpoint(folder / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert whole is not None and parts is not None
    assert parts["step"] == 12 and same_tensors(whole["parts"]["model"], parts["parts"]["model"])
    assert read_metrics(folder / "whole" / "metrics.jsonl") == read_metrics(
        folder / "parts" / "metrics.jsonl"
    )


def test_a_killed_run_resumes_from_its_last_checkpoint(overrides, tmp_path):
    folder = tmp_path / "runs" / "FakeGame" / "world_model"
    options = ("checkpoint_every_minutes=0", "budget.max_steps=100000")
    process = command(overrides, *options)
    deadline = time.monotonic() + 120
    while not (folder / "export" / "model.safetensors").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    state = load_checkpoint(folder / "checkpoint.pt")
    assert state is not None and state["step"] >= 1
    again = config(overrides, "checkpoint_every_minutes=0", "budget.max_steps=100000")
    again.budget.max_steps = state["step"] + 2  # As if the budget ended soon.
    (folder / "config.yaml").write_text(
        (folder / "config.yaml").read_text().replace("100000", str(state["step"] + 2))
    )
    train.main(again)
    finished = load_checkpoint(folder / "checkpoint.pt")
    assert finished is not None and finished["step"] == state["step"] + 2


def test_the_model_learns_how_the_square_walks(overrides, tmp_path):
    train.main(
        config(overrides, "budget.max_steps=300", "learning_rate=3e-3", "model.dropout=0",
               "batch_size=16", "evaluations=1", "log_every=100")
    )  # fmt: skip
    last = read_metrics(tmp_path / "runs" / "FakeGame" / "world_model" / "metrics.jsonl")[-1]
    assert last["heldout/token_accuracy"] > 0.97 > last["heldout/copy_accuracy"]
    assert last["heldout/changed_accuracy"] > 0.9


@pytest.mark.parametrize(
    "model",
    [
        ["prediction=autoregressive", "attention=full", "merge=1", "history=1"],
        ["attention=full", "merge=1"],
        ["positions=absolute", "copies=0", "stay_gate=false"],
        ["refine_layers=1", "refine_passes=2", "stay_gate=false"],
    ],
)
def test_every_kind_of_model_trains(overrides, tmp_path, model):
    options = [f"model.{option}" for option in model]
    if "positions=absolute" in model:
        options.append("segment=4")
    train.main(config(overrides, "budget.max_steps=3", *options))
    assert WorldModel.from_pretrained(tmp_path / "runs" / "FakeGame" / "world_model")


@pytest.mark.parametrize(
    "options",
    [
        ["scheduled_sampling_prob=0.5", "scheduled_sampling_depth=2"],
        ["token_noise_prob=0.2", "foreground_weight=3"],
        ["scheduled_sampling_prob=0.5", "model.prediction=autoregressive", "model.attention=full",
         "model.merge=1", "model.history=1"],
    ],
)  # fmt: skip
def test_corrupted_contexts_and_weights_train(overrides, tmp_path, options):
    train.main(config(overrides, "budget.max_steps=3", "log_every=1", *options))
    rows = read_metrics(tmp_path / "runs" / "FakeGame" / "world_model" / "metrics.jsonl")
    assert all(row["train/nats_per_frame"] > 0 for row in rows if "train/nats_per_frame" in row)


# torch filters this warning of its own tracer out, which the tests' error filter undoes.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_transformer_learns_as_another(overrides, tmp_path, monkeypatch):
    # "eager" traces and guards as a compiler does, but needs none.
    monkeypatch.setattr("worldtokens.world_model.imagination.precision.BACKEND", "eager")
    torch.compiler.reset()
    losses = {}
    for compiled in ("true", "false"):
        options = (f"compile={compiled}", f"run={compiled}", "budget.max_steps=4", "log_every=1")
        train.main(config(overrides, *options, "model.dropout=0"))
        rows = read_metrics(tmp_path / "runs" / "FakeGame" / compiled / "metrics.jsonl")
        losses[compiled] = [r["train/nats_per_frame"] for r in rows if "train/nats_per_frame" in r]
    np.testing.assert_allclose(losses["true"], losses["false"], rtol=1e-4)


def test_a_retrained_tokenizer_is_refused_in_one_line(overrides, tokenizer_folder, new_tokenizer):
    train.main(config(overrides, "budget.max_steps=2"))
    new_tokenizer(seed=1).save_pretrained(tokenizer_folder / "export")
    process = command(overrides, "budget.max_steps=2")
    _, errors = process.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert process.returncode == 1 and "Traceback" not in errors
    assert len(lines) == 1 and "trained on the tokens of tokenizer" in lines[0]


def test_a_tokenizer_of_another_game_is_said(overrides, tokenizer_folder, new_tokenizer, capsys):
    few = ("budget.max_steps=1", "evaluations=0")
    for game in ("FakeGame", "Pong"):
        tokenizer = new_tokenizer()
        tokenizer.facts = CardFacts(game=game)
        tokenizer.save_pretrained(tokenizer_folder / "export")
        train.main(config(overrides, *few, f"run={game}"))
        note = "note: this tokenizer was trained on Pong; on frames of FakeGame it may lose most"
        assert (note in capsys.readouterr().err) == (game == "Pong")


def test_another_config_on_the_same_folder_is_refused(overrides):
    train.main(config(overrides, "budget.max_steps=1"))
    with pytest.raises(ValueError, match="another config.*segment 5 -> 6.*run=NAME"):
        train.main(config(overrides, "budget.max_steps=1", "segment=6"))


def test_missing_parts_are_named(overrides, tmp_path):
    with pytest.raises(ValueError, match="tokenizer .*nowhere: no such folder"):
        train.main(config(overrides, f"tokenizer={tmp_path / 'nowhere'}"))
    with pytest.raises(ValueError, match="is not a dataset"):
        train.main(config(overrides, f"data={tmp_path / 'empty'}"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("batch_size=0", "batch_size: expected a whole number of at least 1, got 0"),
        ("segment=1", "segment: expected a whole number of at least 2, got 1"),
        ("model.positions=absolute", "segment: expected at most model.context=4 frames"),
        ("model.layer=1", "model.layer"),
        (
            "scheduled_sampling_prob=2",
            r"scheduled_sampling_prob: expected a number in \[0, 1\], got",
        ),
        ("foreground_weight=0", "foreground_weight: expected a number above 0, got 0"),
    ],
)
def test_wrong_settings_are_named(overrides, option, message):
    with pytest.raises(ValueError, match=message):
        config(overrides, option)


def test_a_non_finite_loss_stops_before_the_step(overrides, tmp_path, monkeypatch):
    monkeypatch.setattr(
        train, "world_model_loss", lambda *_: WorldModelLoss(*[torch.tensor(torch.nan)] * 3)
    )
    with pytest.raises(FloatingPointError, match="loss at step 0: expected a finite number"):
        train.main(config(overrides))


def test_the_config_of_an_export_is_readable_json(overrides, tmp_path):
    train.main(config(overrides, "budget.max_steps=1"))
    path = tmp_path / "runs" / "FakeGame" / "world_model" / "export" / "config.json"
    tree = json.loads(path.read_text())
    assert tree["model"] == "worldtokens.world_model" and tree["game"] == "FakeGame"


def test_a_merge_that_does_not_fit_the_grid_is_replaced_and_said(overrides, tmp_path, capsys):
    few = ("budget.max_steps=1", "evaluations=0")
    train.main(config(overrides, "model.merge=3", *few))
    note = "model.merge=3 does not divide the 2 x 4 tokens of a frame; this run has model.merge=2"
    assert note in capsys.readouterr().err
    folder = tmp_path / "runs" / "FakeGame" / "world_model"
    assert WorldModel.from_pretrained(folder).config.merge == 2
    # The same command, and the one that the note names, go on with this run.
    train.main(config(overrides, "model.merge=3", *few))
    train.main(config(overrides, "model.merge=2", *few))
