import subprocess
import sys
from pathlib import Path

import pytest

from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose

SCRIPT = """
from dataclasses import dataclass
from typing import Any
from worldtokens.training.command_line import launch

@dataclass
class Config:
    env: str
    seed: int

def main(config: Config) -> None:
    if config.seed == 1:
        raise ValueError("seed: expected another")
    if config.seed == 2:
        open("/no/such/file")
    if config.seed == 3:
        raise KeyError("a bug of ours")
    print(config.env)

if __name__ == "__main__":
    launch(main, Config, "plain")
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
        "defaults: [base, _self_]\nenv: MontezumaRevenge\nseed: 0\n"
    )
    return folder / "script.py"


def run(script: Path, *overrides: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(script), *overrides], capture_output=True, text=True, cwd=script.parent
    )


def test_main_gets_the_config_and_nothing_is_left_behind(script):
    before = sorted(path.name for path in script.parent.iterdir())
    done = run(script, "env=Pong")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Pong\n", "")
    after = sorted(path.name for path in script.parent.iterdir() if path.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("sed=1", "error: config key 'sed' does not exist in plain.yaml; did you mean seed?"),
        ("+speed=1", "error: config key 'speed' does not exist in plain.yaml; did you mean seed?"),
        ("+xyz=1", "error: config key 'xyz' does not exist in plain.yaml; its keys are env, seed"),
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
