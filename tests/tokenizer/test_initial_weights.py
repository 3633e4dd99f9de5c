import dataclasses

import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.initial_weights import start_from

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
