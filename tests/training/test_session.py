import json
import re
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from worldtokens.training.budget import BudgetConfig, ScheduleConfig
from worldtokens.training.checkpoint import load_checkpoint, save_checkpoint
from worldtokens.training.metric_writers import WandbConfig, read_metrics
from worldtokens.training.session import Session, SessionConfig


class Model(torch.nn.Linear):
    """One weight that each step moves by a random amount."""

    def record_training(self, **story) -> None:
        self.story = story

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "weight").write_text(str(self.weight.item()))
        (folder / "story").write_text(json.dumps(self.story))


def config_of(root: Path, steps: int = 6, **changes) -> SessionConfig:
    values = {
        "env": "FakeGame", "root": str(root), "run": "model", "overwrite": False, "seed": 0,
        "budget": BudgetConfig(max_steps=steps), "schedule": ScheduleConfig(),
        "log_every": 1, "evaluations": 3,
        "checkpoint_every_minutes": 0.0, "wandb": WandbConfig("disabled", "worldtokens"),
    }  # fmt: skip
    return SessionConfig(**(values | changes))


def train(
    root: Path, stop_after: int | None = None, evaluates: bool = False
) -> tuple[float, list[int]]:
    """Trains; `stop_after` ends it as a kill would, right after that step's checkpoint."""
    session = Session(Accelerator(cpu=True), config_of(root))
    model = Model(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    session.begin({"model": model}, unit="frames", data="20 frames")
    evaluated = []
    for progress, rng in session.steps():
        with torch.no_grad():
            model.weight += torch.rand(()) + float(rng.random())
        session.log({"loss": model.weight.item()}, shown="loss", units=4)
        if session.is_evaluation_due:
            evaluated.append(session.clock.step)
        if evaluates and session.is_evaluation_due:
            metrics = {"psnr": float(session.clock.step)}
            session.write_evaluation(metrics, "grid", session.sample_path())
        if session.is_checkpoint_due:
            session.save(model)
        if stop_after == progress.step + 1:
            return model.weight.item(), evaluated
    session.end(model)
    return model.weight.item(), evaluated


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    whole, evaluated = train(tmp_path / "whole")
    first, early = train(tmp_path / "parts", stop_after=3)
    second, late = train(tmp_path / "parts")
    assert first != whole and second == whole
    assert evaluated == [2, 4, 6] and early + late == evaluated
    rows = [
        [
            (row["step"], row["train/loss"])
            for row in read_metrics(folder / "metrics.jsonl")
            if "train/loss" in row
        ]
        for folder in (tmp_path / "whole/FakeGame/model", tmp_path / "parts/FakeGame/model")
    ]
    assert rows[0] == rows[1] and [step for step, _ in rows[0]] == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_is_not_trained_again(tmp_path, capsys):
    whole, _ = train(tmp_path)
    assert train(tmp_path) == (whole, [])
    export = tmp_path / "FakeGame" / "model" / "export"
    assert (export / "weight").read_text() == str(whole)
    assert f"model: {export} after 6 steps" in capsys.readouterr().out


def test_the_card_is_told_how_the_model_was_trained(tmp_path, monkeypatch):
    script = str(Path.cwd() / "tokenizer" / "train.py")
    monkeypatch.setattr(sys, "argv", [script, "env=FakeGame", "model.name=a b"])
    train(tmp_path, evaluates=True)
    # A finished run that is started again keeps the metrics of its last evaluation.
    train(tmp_path)
    story = json.loads((tmp_path / "FakeGame" / "model" / "export" / "story").read_text())
    training = story.pop("training")
    assert re.fullmatch(r"6 steps in \d+ s \(cpu, \d+ threads?\)", training)
    assert story == {
        "game": "FakeGame",
        "data": "20 frames",
        "command": "python tokenizer/train.py env=FakeGame 'model.name=a b'",
        "metrics": {"psnr": 6.0},
    }


def test_a_card_names_the_console_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["worldtokens train-tokenizer", "env=FakeGame"])
    train(tmp_path)
    story = json.loads((tmp_path / "FakeGame" / "model" / "export" / "story").read_text())
    assert story["command"] == "worldtokens train-tokenizer env=FakeGame"


def test_a_checkpoint_of_an_earlier_version_says_figures(tmp_path):
    train(tmp_path, evaluates=True)
    path = tmp_path / "FakeGame" / "model" / "checkpoint.pt"
    state = load_checkpoint(path)
    assert state is not None
    state["figures"] = state.pop("metrics")
    save_checkpoint(path, state)
    train(tmp_path)
    again = load_checkpoint(path)
    assert again is not None and again["metrics"] == {"psnr": 6.0} and "figures" not in again


def test_evaluations_are_written_and_drawn(tmp_path):
    session = Session(Accelerator(cpu=True), config_of(tmp_path))
    session.begin({}, unit="frames")
    session.clock.step = 5
    session.write_evaluation({"psnr": 30.0}, "grid", session.sample_path())
    assert read_metrics(session.folder.metrics) == [{"step": 5, "heldout/psnr": 30.0}]
    assert session.folder.curves.is_file()
    assert session.sample_path() == session.folder.samples / "step_0000005.png"


def test_another_config_is_refused_but_logging_may_change(tmp_path):
    Session(Accelerator(cpu=True), config_of(tmp_path))
    assert list(tmp_path.iterdir()) == [], "nothing is written before the last check"
    train(tmp_path, stop_after=1)
    Session(Accelerator(cpu=True), config_of(tmp_path, log_every=7))
    with pytest.raises(ValueError, match="seed 0 -> 1"):
        Session(Accelerator(cpu=True), config_of(tmp_path, seed=1))


@pytest.mark.parametrize("name", ["log_every", "evaluations", "checkpoint_every_minutes"])
def test_numbers_are_checked(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: expected a (whole )?number of at least"):
        config_of(tmp_path, **{name: -1})


def test_what_is_not_finite_is_never_saved(tmp_path):
    train(tmp_path, stop_after=2)
    session = Session(Accelerator(cpu=True), config_of(tmp_path))
    model = Model(1, 1, bias=False)
    session.begin({"model": model}, unit="frames")
    torch.nn.init.constant_(model.weight, float("nan"))
    with pytest.raises(
        FloatingPointError, match="step 2: .*infinity in model.weight; they were no"
    ):
        session.save(model)
    state = load_checkpoint(session.folder.checkpoint)
    assert state is not None and bool(state["parts"]["model"]["weight"].isfinite().all())
    # What the message advises is allowed.
    Session(Accelerator(cpu=True), config_of(tmp_path, schedule=ScheduleConfig(shape="constant")))


def test_a_checkpoint_that_is_not_finite_is_named(tmp_path):
    train(tmp_path, stop_after=2)
    path = tmp_path / "FakeGame" / "model" / "checkpoint.pt"
    state = load_checkpoint(path)
    assert state is not None
    state["parts"]["model"]["weight"].fill_(float("inf"))
    save_checkpoint(path, state)
    with pytest.raises(ValueError, match="infinity in model.weight; start afresh with overwrite"):
        Session(Accelerator(cpu=True), config_of(tmp_path))


def test_other_processes_change_the_batch_and_that_is_said(tmp_path, capsys):
    train(tmp_path, stop_after=2)
    path = tmp_path / "FakeGame" / "model" / "checkpoint.pt"
    state = load_checkpoint(path)
    assert state is not None and state["num_processes"] == 1
    state["num_processes"] = 4
    save_checkpoint(path, state)
    train(tmp_path)
    assert "goes on with 1: the effective batch is 0.25 times as large" in capsys.readouterr().err


def test_a_run_that_another_process_went_on_with_is_left_alone(tmp_path):
    train(tmp_path, stop_after=2)
    session = Session(Accelerator(cpu=True), config_of(tmp_path))
    path = tmp_path / "FakeGame" / "model" / "checkpoint.pt"
    state = load_checkpoint(path)
    assert state is not None
    save_checkpoint(path, state | {"step": 5})
    with pytest.raises(ValueError, match="one that saved since this one began; run the command"):
        session.begin({}, unit="frames")


@pytest.mark.parametrize("run", ("", "..", "../other", "/absolute", "a/../../b"))
def test_names_stay_inside(tmp_path, run):
    with pytest.raises(ValueError, match="run: expected a name, such as run=NAME"):
        config_of(tmp_path, run=run)


def test_seeds_are_checked(tmp_path):
    with pytest.raises(ValueError, match="seed: expected a whole number of at least 0, got -1"):
        config_of(tmp_path, seed=-1)
