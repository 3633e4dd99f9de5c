"""A run that starts from other weights."""

import pytest
import torch

from worldtokens.tokenizer import Tokenizer, train
from worldtokens.tokenizer.quantizers import VQ
from worldtokens.training.command_line import compose

TINY = "model={network: resnet, encoder_width: 32, encoder_depth: 1, channel_multipliers: [1, 2], "
TINY += "decoder_width: 8, decoder_depth: 1, quantizer: vq, codebook_size: 16, code_dim: 4}"
STILL = ["learning_rate=1e-12", "model.codebook_decay=0.999999"]


def config_of(overrides, *more):
    return compose(train.TrainConfig, "tokenizer", [*overrides, TINY, *more])


@pytest.fixture
def starts(monkeypatch):
    """Counts how often codes are started from frames."""
    found = []
    start = VQ.start
    monkeypatch.setattr(VQ, "start", lambda self, *a: (found.append(1), start(self, *a))[1])
    return found


def test_a_run_starts_from_another_with_its_codes(overrides, tmp_path, capsys, starts):
    train.main(config_of(overrides, "run=first"))
    assert len(starts) == 1
    first = tmp_path / "FakeGame" / "first"
    second = config_of(overrides, "run=second", f"init_from={first}", *STILL)
    train.main(second)
    assert len(starts) == 1, "codes came with the weights"
    assert f"init_from={first}: nothing starts fresh" in capsys.readouterr().out
    mine, its = (Tokenizer.from_pretrained(tmp_path / "FakeGame" / n) for n in ("second", "first"))
    own = dict(mine.named_parameters())
    for name, value in its.named_parameters():
        torch.testing.assert_close(own[name], value)
    # A resumption reads the checkpoint: it needs the other run no longer.
    first.rename(tmp_path / "gone")
    second.budget.max_steps = 14
    train.main(second)
    assert "goes on" not in capsys.readouterr().err


def test_codes_that_do_not_fit_are_started_from_frames(overrides, tmp_path, starts):
    train.main(config_of(overrides, "run=first"))
    first = tmp_path / "FakeGame" / "first"
    train.main(config_of(overrides, f"init_from={first}", "model.codebook_size=8"))
    assert len(starts) == 2


def test_weights_of_another_design_end_in_one_line(overrides, tmp_path):
    train.main(config_of(overrides, "run=first"))
    first = tmp_path / "FakeGame" / "first"
    with pytest.raises(ValueError, match="init_from=.*first: expected a tokenizer with weights"):
        train.main(compose(train.TrainConfig, "tokenizer", [*overrides, f"init_from={first}"]))
