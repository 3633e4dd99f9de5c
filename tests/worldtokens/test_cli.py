import subprocess
import sys

import pytest

from worldtokens.cli import main
from worldtokens.common.commands import STAGES

LIGHT = """
import sys
import worldtokens
from worldtokens.cli import main
main(["--help"])
assert not {"torch", "hydra", "numpy"} & set(sys.modules), "loaded too much"
"""


def test_help_lists_the_stages(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    width = max(len(stage.name) for stage in STAGES)
    for stage in STAGES:
        assert f"  {stage.name:<{width}}  {stage.summary}" in lines
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_help_is_quick():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("colect", "did you mean collect?"),
        ("onnx", "did you mean export-tokenizer-onnx or export-world-model-onnx?"),
        ("xyz", "the stages are collect, report, "),
    ],
)
def test_a_misspelt_stage_is_one_line(capsys, word, hint):
    assert main([word, "env=Pong"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: stage '{word}' does not exist; {hint}")
    assert printed.err.count("\n") == 1


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("worldtokens 0.")


def test_a_stage_runs_its_main_under_its_name(tmp_path):
    command = [sys.executable, "-m", "worldtokens", "report"]
    done = subprocess.run([*command, "data=nothing"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "nothing" in done.stderr
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0
    assert "usage: worldtokens report KEY=VALUE ..." in shown.stdout.splitlines()
    assert "  verify=false                    " in shown.stdout
