import importlib
import sys

import pytest

from worldtokens.common import commands
from worldtokens.common.commands import STAGES, find_stage, program_words, stage_command

ROOT = commands._SOURCE


def test_every_stage_has_its_script_and_its_config():
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    for stage in STAGES:
        assert (ROOT / stage.script).is_file(), stage
        assert (ROOT / "configs" / f"{stage.config}.yaml").is_file(), stage
        assert callable(importlib.import_module(stage.module).cli), stage


def test_the_advised_command_exists_where_the_user_is(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert stage_command("collect") == "python collect/run.py"
    monkeypatch.chdir(tmp_path)
    assert stage_command("collect") == "worldtokens collect"
    assert find_stage("imagine").script == "world_model/imagine.py"


@pytest.mark.parametrize(
    ("folder", "program", "words"),
    [
        (ROOT, "worldtokens train-tokenizer", ["worldtokens", "train-tokenizer"]),
        (ROOT, "tokenizer/train.py", ["python", "tokenizer/train.py"]),
        (ROOT / "tokenizer", "train.py", ["python", "train.py"]),
        (ROOT / "envs", "../tokenizer/train.py", ["worldtokens", "train-tokenizer"]),
        (ROOT / "envs", "/elsewhere/train.py", ["python", "train.py"]),
    ],
)
def test_the_words_of_a_program(monkeypatch, folder, program, words):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [program, "env=Pong"])
    assert program_words() == words
