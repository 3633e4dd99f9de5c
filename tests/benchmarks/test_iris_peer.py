import json
import sys

import iris_peer
import pytest

MODELS = """
from torch import nn
class Config:
    def __init__(self, **fields):
        vars(self).update(fields)
"""
TOKENIZER = """
EncoderDecoderConfig = Config
class Encoder(nn.Linear):
    def __init__(self, config):
        super().__init__(config.in_channels, config.ch, bias=False)
Decoder = Encoder
class Tokenizer(nn.Module):
    def __init__(self, vocab_size, embed_dim, encoder, decoder, with_lpips):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        assert not with_lpips
"""
WORLD_MODEL = """
from . import transformer
class WorldModel(nn.Linear):
    def __init__(self, vocab_size, num_actions, config):
        super().__init__(config.embed_dim, num_actions, bias=False)
"""


@pytest.fixture(autouse=True)
def modules_of_this_test(monkeypatch):
    """Forgets what is imported from a clone, and the empty module `gym`, after each test."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("gym", "models"):
            del sys.modules[name]


def test_the_networks_are_built_from_the_classes_of_the_clone(tmp_path, run_script, capsys):
    """A clone in small: modules and classes of IRIS's names, with one layer each."""
    folder = tmp_path / "src" / "models"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "tokenizer.py").write_text(MODELS + TOKENIZER)
    (folder / "transformer.py").write_text(MODELS + "TransformerConfig = Config\n")
    (folder / "world_model.py").write_text(MODELS + WORLD_MODEL)
    run_script(iris_peer.main, "--iris", tmp_path, "--work", "parameters")
    assert json.loads(capsys.readouterr().out) == {"tokenizer": 2 * 3 * 64, "world_model": 256 * 18}


def test_a_folder_that_is_not_iris_is_named(tmp_path):
    with pytest.raises(ValueError, match="--iris: expected a clone of IRIS, got .* has no src/mod"):
        iris_peer.import_iris(tmp_path)
