"""Exports stay loadable, and keep their fingerprint, when a config gains a field."""

import dataclasses
import json
from dataclasses import dataclass, field

import pytest
import torch

from worldtokens.hub.model_files import Kind
from worldtokens.tokenizer import Tokenizer, TokenizerConfig

SETTINGS = dict(
    frame_height=16, frame_width=16, network="patch", quantizer="fsq", encoder_width=8,
    encoder_depth=1, decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
)  # fmt: skip


@dataclass
class GrownConfig(TokenizerConfig):
    """The config of a later version."""

    sharpness: float = 0.5
    places: list[int] = field(default_factory=lambda: [1])


class GrownTokenizer(Tokenizer):
    """The tokenizer of a later version."""

    kind = Kind("tokenizer", GrownConfig, added=frozenset({"sharpness", "places"}))


@pytest.fixture
def old():
    torch.manual_seed(0)
    return Tokenizer(TokenizerConfig(**SETTINGS)).eval()


def test_an_old_export_loads_with_the_default(old, tmp_path):
    old.save_pretrained(tmp_path)
    loaded = GrownTokenizer.from_pretrained(tmp_path)
    assert (loaded.config.sharpness, loaded.config.places) == (0.5, [1])
    assert dataclasses.asdict(loaded.config).items() >= SETTINGS.items()
    assert loaded.fingerprint == old.fingerprint


def test_what_does_not_use_the_new_field_still_loads_in_the_old_version(old, tmp_path):
    grown = GrownTokenizer(GrownConfig(**SETTINGS))
    grown.load_state_dict(old.state_dict())
    grown.save_pretrained(tmp_path)
    assert "sharpness" not in json.loads((tmp_path / "config.json").read_text())
    assert Tokenizer.from_pretrained(tmp_path).fingerprint == old.fingerprint


def test_what_uses_the_new_field_is_another_model(old, tmp_path):
    grown = GrownTokenizer(GrownConfig(**SETTINGS, sharpness=0.75))
    grown.load_state_dict(old.state_dict())
    assert grown.fingerprint != old.fingerprint
    grown.save_pretrained(tmp_path)
    assert GrownTokenizer.from_pretrained(tmp_path).config.sharpness == 0.75
    with pytest.raises(ValueError, match=r"has other keys: sharpness \(unknown: 1, missing: 0\)"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "name",
    [f.name for f in dataclasses.fields(TokenizerConfig) if f.name not in Tokenizer.kind.added],
)
def test_every_field_of_the_first_format_is_needed(old, tmp_path, name):
    old.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    del tree[name]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=rf"other keys: {name} \(unknown: 0, missing: 1\)"):
        Tokenizer.from_pretrained(tmp_path)
