import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from worldtokens.collect import report
from worldtokens.common.interrupts import NOTE
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose, to_dataclass
from worldtokens.world_model.training.config import TrainConfig as WorldModelTrainConfig

SCRIPT = """
'''Says hello.

python script.py env=Pong
'''

from dataclasses import dataclass, field
from tqdm import tqdm
from worldtokens.training.budget import BudgetConfig
from worldtokens.training.command_line import launch

@dataclass
class Model:
    '''Its shape.

    Attributes:
        layers: How many layers,
            one above another.
        rates: Of each.
    '''

    layers: int = 3
    rates: list[int] = field(default_factory=lambda: [1, 2])

@dataclass
class Config:
    '''The keys.

    Attributes:
        seed: Of the weights.
    '''

    env: str
    seed: int
    model: Model

def main(config: Config) -> None:
    if config.seed == 7:
        bar = tqdm(total=10, desc="steps")
        raise ValueError("batch: expected another")
    if config.seed == 1:
        raise ValueError("seed: expected another")
    if config.seed == 2:
        open("/no/such/file")
    if config.seed == 6:
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("half-done")
    if config.seed == 4:
        raise MemoryError("of a test")
    if config.seed == 3:
        raise KeyError("a bug of ours")
    print(config.env, config.model.layers)

if __name__ == "__main__":
    launch(main, Config, "plain", "configs")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    """A script with configs of its own: importing the real ones takes torch seconds to load."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(SCRIPT)
    (folder / "configs").mkdir()
    (folder / "configs" / "__init__.py").write_text("")
    base = Path(__file__).parents[2] / "configs" / "base.yaml"
    (folder / "configs" / "base.yaml").write_text(base.read_text())
    (folder / "configs" / "plain.yaml").write_text(
        "defaults:\n  - base\n  - dataclass_defaults\n  - _self_\n  - size: null\n"
        "env: MontezumaRevenge  # the game\nseed: 0\n"
    )
    (folder / "configs" / "size").mkdir()
    (folder / "configs" / "size" / "large.yaml").write_text(
        "# @package _global_\n# Seven\n# layers.\nmodel:\n  layers: 7  # many\n"
    )
    return folder / "script.py"


def run(script: Path, *overrides: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(script), *overrides], capture_output=True, text=True, cwd=script.parent
    )


def test_main_gets_the_config_and_nothing_is_left_behind(script):
    before = sorted(path.name for path in script.parent.iterdir())
    done = run(script, "env=Pong")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Pong 3\n", "")
    after = sorted(path.name for path in script.parent.iterdir() if path.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("sed=1", "error: config key 'sed' does not exist in plain.yaml; did you mean seed?"),
        ("+speed=1", "error: config key 'speed' does not exist in plain.yaml; did you mean seed?"),
        (
            "+xyz=1",
            "error: config key 'xyz' does not exist in plain.yaml; its keys are env, seed, model",
        ),
        (
            "model.layrs=4",
            "error: config key 'model.layrs' does not exist in plain.yaml; did you mean "
            "model.layers or model.rates or model?",
        ),
        ("env=???", "error: config key 'env' needs a value: give env=..."),
        ("seed=1", "error: seed: expected another"),
        ("seed=2", "error: No such file or directory: /no/such/file"),
        (
            "seed=one",
            "error: config key 'seed': Value 'one' of type 'str' could not be converted to Integer",
        ),
    ],
)
def test_a_mistake_is_one_line(script, override, line):
    done = run(script, override)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line + "\n")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["model.layers=5"], "MontezumaRevenge 5\n"),
        (["size=large"], "MontezumaRevenge 7\n"),
        (["size=large", "model.layers=5"], "MontezumaRevenge 5\n"),
    ],
)
def test_defaults_come_from_the_dataclass_then_the_choice_then_the_words(script, words, printed):
    assert run(script, *words).stdout == printed


def test_help_shows_every_key_with_its_default_and_what_it_does(script):
    assert (
        run(script, "--help").stdout
        == """\
Says hello.

    python script.py env=Pong

usage: python script.py KEY=VALUE ...

choices of size (default: null):
  large                           Seven layers.

keys:
  env=MontezumaRevenge            The game.
  seed=0                          Of the weights.

model:                            Its shape.
  model.layers=3                  How many layers, one above another.
  model.rates=[1,2]               Of each.

flags:
  --cfg job     Prints the config that the command would run with, and ends.
  --multirun    Runs once for each of several values: KEY=a,b.
  --hydra-help  Lists Hydra's other flags.
"""
    )


def test_help_shows_the_defaults_under_a_choice(script):
    lines = run(script, "size=large", "--help").stdout.splitlines()
    assert "  model.layers=7                  Many." in lines
    assert "choices of size (default: large):" in lines


def test_flags_of_hydra_still_work(script):
    assert "layers: 3" in run(script, "--cfg", "job").stdout
    lines = run(script, "--multirun", "env=A,B").stdout.splitlines()
    assert [line for line in lines if "[HYDRA]" not in line] == ["A 3", "B 3"]


def test_an_old_key_works_and_the_new_name_is_said(script):
    done = run(script, "own_share=0.5")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "note: config key 'own_share' is now called 'scheduled_sampling_prob'"
    )
    overrides = ["env=Pong", "own_share=0.5"]
    assert compose(WorldModelTrainConfig, "world_model", overrides).scheduled_sampling_prob == 0.5


def test_a_bug_of_ours_keeps_its_traceback(script):
    done = run(script, "seed=3")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "KeyError: 'a bug of ours'" in done.stderr


def test_compose_gives_what_the_command_would_get():
    config = compose(TrainConfig, "tokenizer", ["env=Pong", "budget.max_steps=7"])
    assert config.env == "Pong" and config.budget.max_steps == 7


def test_compose_names_the_close_key():
    with pytest.raises(ValueError, match="'batch_sise' does not exist.*did you mean batch_size"):
        compose(TrainConfig, "tokenizer", ["batch_sise=3"])


def test_a_call_leaves_the_environment_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr("sys.argv", ["worldtokens report", f"data={tmp_path}"])
    with pytest.raises(SystemExit, match="1"):
        report.cli()
    assert capsys.readouterr().err.startswith("error: ")
    assert "HYDRA_FULL_ERROR" not in os.environ


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["env="], "env: expected a value, got an empty one; give env=VALUE"),
        (["Pong"], "argument 'Pong': expected KEY=VALUE, got no '='"),
        (["env=A,B"], "env: expected one value, got several (A,B); to keep the comma quote it twi"),
        (["--fast"], "flags: unrecognized arguments: --fast; see --help and --hydra-help"),
        (["--cfg", "x"], "flags: argument --cfg/-c: invalid choice: 'x'"),
        (["seed=99999999999999999999"], "seed: expected a number of at most 64 bits"),
        (["size=[1,2]"], "size: expected one of large, got [1,2]"),
        (["size={a: 1}"], "size: expected one of large, got {a: 1}"),
        (["size=null"], "size: expected one of large, got null; for none leave it out"),
        (["+size@model=3"], "size: expected one of large, got 3"),
        (["size=2.5"], "size: expected one of large, got 2.5"),
        (["seed=4"], "memory does not suffice (of a test); choose a smaller batch_size"),
    ],
)
def test_other_mistakes_are_one_line(script, words, line):
    done = run(script, *words)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"error: {line}") and done.stderr.count("\n") == 1


def test_values_that_hydra_does_not_know_are_taken_as_they_are(script):
    for value in ("ünï", "lr=1e-3", "a#b", "run(1)", "[1]x", "it's", "a&b"):
        assert run(script, f"env={value}").stdout == f"{value} 3\n"


def test_one_bad_job_of_several_costs_no_other(script):
    done = run(script, "--multirun", "env=A", "seed=0,1,5")
    assert [line for line in done.stdout.splitlines() if "[HYDRA]" not in line] == ["A 3", "A 3"]
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: seed: expected another; the next job goes on",
        "error: env=A seed=1: seed: expected another",
        "error: 1 of 3 jobs failed",
    ]


def test_names_that_are_not_utf_8_are_printed(script):
    name = os.fsdecode(b"caf\xe9")
    done = run(script, f"env={name}")
    assert (done.returncode, done.stdout) == (0, "caf\\udce9 3\n")


def test_an_error_stands_below_the_progress_bar(script):
    lines = run(script, "seed=7").stderr.splitlines()
    assert lines[-1] == "error: batch: expected another" and "steps:   0%" in lines[-2]


@pytest.mark.parametrize("words", (["seed=6"], ["-m", "seed=6,0"]))
def test_an_interruption_that_left_something_half_done_is_one_line(script, words):
    done = run(script, *words)
    lines = [line for line in done.stderr.splitlines() if "HYDRA" not in line]
    assert done.returncode == 130 and lines == [NOTE]


@dataclass
class NamedConfig:
    env: str
    data: str
    game: str


def test_folders_are_named_without_the_colon_of_an_id():
    tree = {"env": "gymnasium:ALE/Pong-v5", "data": "data/${env}", "game": "${env}"}
    config = to_dataclass(OmegaConf.create(tree), NamedConfig)
    assert config == NamedConfig("ALE_Pong-v5", "data/ALE_Pong-v5", "gymnasium:ALE/Pong-v5")
    assert tree["env"] == "gymnasium:ALE/Pong-v5"
    tree["env"] = "MontezumaRevenge"
    assert to_dataclass(OmegaConf.create(tree), NamedConfig).data == "data/MontezumaRevenge"
