import importlib
from dataclasses import dataclass

import pytest

from worldtokens.common.commands import STAGES
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_help import (
    as_sentence,
    attribute_texts,
    describe_stage,
    first_comment,
    key_texts,
    yaml_comments,
)
from worldtokens.training.stage_config import StageConfig

SHAPES = ("round", "square")


@dataclass
class Base:
    """A base.

    Attributes:
        seed: Of the weights: a number.
        shape: Replaced below.
    """

    seed: int = 0


@dataclass
class Derived(Base):
    """More.

    Attributes:
        shape: One of SHAPES.
        width: In pixels,
            at most 7.

    Other words: none.
    """

    shape: str = "round"
    width: int = 3


def test_attributes_of_a_dataclass_and_its_bases():
    assert attribute_texts(Derived) == {
        "seed": "Of the weights: a number.",
        "shape": "One of round | square.",
        "width": "In pixels, at most 7.",
    }


def test_comments_of_a_yaml_belong_to_their_dotted_keys():
    text = "# head\na: 1  # one\nb:  # inner\n  c: 2   # two # three\n  d: '#x'\ne: {}\n"
    assert yaml_comments(text) == {"a": "one", "b": "inner", "b.c": "two # three"}


def test_the_first_comment_leaves_directives_out():
    assert first_comment("# @package _global_\n# One\n# two.\na: 1\n# three\n") == "One two."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the game, by its name", "The game, by its name."),
        ("Pixels.", "Pixels."),
        ("steps", "Steps."),
        ("true deletes the run", "true deletes the run."),
        ("hinge | vanilla", "hinge | vanilla."),
        ("data (the true ones) | random", "data (the true ones) | random."),
        ("[16,16]: also larger frames", "[16,16]: also larger frames."),
        ("bf16 where it is fast", "bf16 where it is fast."),
    ],
)
def test_texts_of_keys_are_sentences(text, sentence):
    assert as_sentence(text) == sentence


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_key_of_a_stage_has_a_text(stage, monkeypatch):
    launched = []
    module = importlib.import_module(stage.module)
    monkeypatch.setattr(module, "launch", lambda main, *config: launched.append(config))
    module.cli()
    [(config_type, config_name)] = launched
    assert config_name == stage.config
    config = StageConfig(config_type, config_name)
    policy = {"collect": "go_explore", "evaluate-world-model": "held_random"}.get(stage.name)
    texts = key_texts(config, {"policy": policy})
    assert set(config.keys()) - texts.keys() <= {"policy", "policy.name", "policy._target_"}


def test_the_help_of_the_tokenizer_names_keys_comments_and_presets(monkeypatch):
    monkeypatch.setattr("sys.argv", ["worldtokens train-tokenizer", "--help"])
    stage = StageConfig(TrainConfig, "tokenizer")
    text = describe_stage(stage, "python tokenizer/train.py env=Pong")
    lines = text.splitlines()
    assert lines[0] == "    worldtokens train-tokenizer env=Pong"
    assert "usage: worldtokens train-tokenizer KEY=VALUE ..." in lines
    for key, value in (("learning_rate", "0.001"), ("overwrite", "false")):
        comment = key_texts(stage, {})[key].split()[0]
        assert any(line.startswith(f"{f'  {key}={value}':<34}{comment}") for line in lines)
    assert any(line.startswith("  model.decoder_width=64  ") for line in lines)
    assert any(line.startswith("  loss.hard_share=0.02  ") for line in lines)
    assert any(line.startswith("  wandb.mode=offline  ") for line in lines)
    assert any(line.startswith("  patch_fsq  ") for line in lines)
    assert max(map(len, lines)) <= 100


def test_the_defaults_are_those_under_the_overrides(monkeypatch):
    monkeypatch.setattr("sys.argv", ["worldtokens train-tokenizer"])
    stage = StageConfig(TrainConfig, "tokenizer")
    text = describe_stage(stage, "", ["tokenizer_preset=vqvae", "seed=3"])
    assert "  learning_rate=0.0002 " in text and "  seed=3 " in text
    assert "choices of tokenizer_preset (default: vqvae):" in text
