import dataclasses

import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig, train
from worldtokens.tokenizer.initial_weights import start_from
from worldtokens.tokenizer.quantizers import VQ
from worldtokens.training.command_line import compose

CONFIG = TokenizerConfig(
    frame_height=16, frame_width=16, network="resnet", quantizer="vq", encoder_width=32,
    encoder_depth=1, channel_multipliers=[1, 2], decoder_width=8, decoder_depth=1,
    codebook_size=16, code_dim=4,
)  # fmt: skip


def test_an_equal_design_takes_all_weights_and_its_codes(tmp_path, capsys):
    torch.manual_seed(0)
    other = Tokenizer(CONFIG)
    other.save_pretrained(tmp_path)
    tokenizer = Tokenizer(CONFIG)
    assert tokenizer.fingerprint != other.fingerprint
    assert start_from(tokenizer, str(tmp_path)) is True
    assert tokenizer.fingerprint == other.fingerprint
    assert f"init_from={tmp_path}: nothing starts fresh" in capsys.readouterr().out


def test_a_larger_codebook_starts_fresh(tmp_path, capsys):
    other = Tokenizer(CONFIG)
    other.save_pretrained(tmp_path)
    tokenizer = Tokenizer(dataclasses.replace(CONFIG, codebook_size=32))
    assert start_from(tokenizer, str(tmp_path)) is False
    assert "quantizers starts fresh" in capsys.readouterr().out
    mine, its = tokenizer.state_dict(), other.state_dict()
    name = "network.encoder.conv_in.weight"
    assert torch.equal(mine[name], its[name])


def test_another_network_is_refused(tmp_path):
    Tokenizer(CONFIG).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="fit model.network=dictionary, got resnet with none"):
        start_from(Tokenizer(TokenizerConfig()), str(tmp_path))


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="tokenizer nowhere: no such folder"):
        start_from(Tokenizer(CONFIG), "nowhere")


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
