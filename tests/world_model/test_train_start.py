import pytest
import torch

from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import compose
from worldtokens.world_model import WorldModel, train
from worldtokens.world_model.training.config import TrainConfig

FEW = ("budget.max_steps=1", "evaluations=0", "calibrate=false")


def config(overrides, *more) -> TrainConfig:
    return compose(TrainConfig, "world_model", [*overrides, *FEW, *more])


def test_a_run_starts_from_a_model_on_another_tokenizers_tokens(
    overrides, tmp_path, new_tokenizer, capsys
):
    train.main(config(overrides, "run=first"))
    runs = tmp_path / "runs" / "FakeGame"
    other = new_tokenizer(seed=1)
    other.save_pretrained(runs / "other" / "export")
    start = ("run=second", f"tokenizer={runs / 'other'}", f"init_from={runs / 'first'}")
    with pytest.raises(ValueError, match="expected a world model on the tokens of .*=, and the"):
        train.main(config(overrides, *start))
    train.main(
        config(
            overrides, *start, f"init_tokenizer={runs / 'tokenizer'}", "learning_rate=1e-9",
            "weight_decay=0",
        )
    )  # fmt: skip
    output = capsys.readouterr().out
    assert "of 64 tokens have a partner" in output and "nothing starts fresh" in output
    first, second = (WorldModel.from_pretrained(runs / name) for name in ("first", "second"))
    assert second.config.tokenizer == Tokenizer.from_pretrained(runs / "other").fingerprint
    name = "network.transformer.blocks.0.mlp.first.weight"
    assert torch.allclose(second.get_parameter(name), first.get_parameter(name), atol=1e-5)


def test_an_init_tokenizer_without_a_model_is_refused(overrides):
    message = "init_tokenizer: expected null without init_from, got there; give the world model"
    with pytest.raises(ValueError, match=message):
        config(overrides, "init_tokenizer=there")
