"""config.json and model.safetensors: old ones load, damaged ones give an error in words."""

import dataclasses
import json
import shutil
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from worldtokens.hub.model_files import Kind, round_to_half, write_half_weights
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.world_model import WorldModel


@dataclass
class GrownConfig(TokenizerConfig):
    """The config of a later version, whose defaults are not what exports without them meant."""

    sharpness: float = 0.9
    multiples: list[int] = field(default_factory=lambda: [1, 2])


class GrownTokenizer(Tokenizer):
    """The tokenizer of a later version."""

    kind = Kind(
        "tokenizer", GrownConfig, "train-tokenizer",
        legacy_values={**Tokenizer.kind.legacy_values, "sharpness": 0.5, "multiples": [1]},
    )  # fmt: skip


@pytest.fixture
def grown(tiny_tokenizer):
    """Makes a tokenizer of the later version with the weights of the earlier one."""

    def make(**changes) -> GrownTokenizer:
        model = GrownTokenizer(GrownConfig(**vars(tiny_tokenizer.config), **changes)).eval()
        model.load_state_dict(tiny_tokenizer.state_dict())
        return model

    return make


def test_an_old_export_loads_with_what_it_meant(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = GrownTokenizer.from_pretrained(tmp_path)
    assert (loaded.config.sharpness, loaded.config.multiples) == (0.5, [1])
    assert loaded.config.multiples is not GrownTokenizer.kind.legacy_values["multiples"]
    assert dataclasses.asdict(loaded.config).items() >= vars(tiny_tokenizer.config).items()
    assert loaded.fingerprint == tiny_tokenizer.fingerprint


def test_legacy_values_keep_files_and_fingerprint(tiny_tokenizer, grown, tmp_path):
    grown(sharpness=0.5, multiples=[1]).save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    assert not {"sharpness", "multiples"} & tree.keys()
    assert Tokenizer.from_pretrained(tmp_path).fingerprint == tiny_tokenizer.fingerprint


def test_other_values_make_another_model(tiny_tokenizer, grown, tmp_path):
    model = grown(sharpness=0.75, multiples=[1])
    assert model.fingerprint != tiny_tokenizer.fingerprint
    model.save_pretrained(tmp_path)
    assert GrownTokenizer.from_pretrained(tmp_path).config.sharpness == 0.75
    with pytest.raises(ValueError, match=r"has other keys: sharpness \(unknown: 1, missing: 0\)"):
        Tokenizer.from_pretrained(tmp_path)
    # The default is no legacy value, so it is written.
    assert grown().fingerprint != model.fingerprint


@pytest.mark.parametrize(
    "name",
    sorted({f.name for f in dataclasses.fields(TokenizerConfig)} - {*Tokenizer.kind.legacy_values}),
)
def test_every_field_of_the_first_format_is_needed(tiny_tokenizer, tmp_path, name):
    tiny_tokenizer.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    del tree[name]
    del tree["facts"]["digest"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=rf"other keys: {name} \(unknown: 0, missing: 1\)"):
        Tokenizer.from_pretrained(tmp_path)


def test_facts_that_went_with_their_digest_are_missed(tiny_tokenizer, tmp_path):
    # Found by random changes: a piece of the file copied over the end of the facts.
    tiny_tokenizer.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    for name in ("metrics", "limits", "digest"):
        del tree["facts"][name]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"is damaged \(its facts lack limits, metrics\); copy it"):
        Tokenizer.from_pretrained(tmp_path)


def test_kinds_name_their_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Tokenizer.kind.command == "worldtokens train-tokenizer"
    assert WorldModel.kind.command == "worldtokens train-world-model"
    assert (WorldModel.kind.label, WorldModel.kind.model_type) == (
        "world model", "worldtokens.world_model",
    )  # fmt: skip


def test_each_kind_refuses_the_other(tiny_tokenizer, world_model, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    world_model.save_pretrained(tmp_path / "world_model")
    with pytest.raises(
        ValueError, match="expected model 'worldtokens.world_model' .* got 'worldtokens.tok"
    ):
        WorldModel.from_pretrained(tmp_path / "tokenizer")
    with pytest.raises(
        ValueError, match="expected model 'worldtokens.tokenizer' in .* got 'worldtokens.wo"
    ):
        Tokenizer.from_pretrained(tmp_path / "world_model")


def break_weights(folder):
    (folder / "model.safetensors").write_bytes(b"\x00" * 40)


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def edit_config(**changes):
    def edit(folder):
        tree = json.loads((folder / "config.json").read_text())
        del tree["facts"]["digest"]  # as the message of a changed file advises
        (folder / "config.json").write_text(json.dumps({**tree, **changes}))

    return edit


def break_config(folder):
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_weights, "model.safetensors is damaged"),
        (remove_weights, "model.safetensors is missing"),
        (break_config, "config.json is not JSON"),
        (
            edit_config(model=None),
            "expected model 'worldtokens.tokenizer' in config.json, got None",
        ),
        (edit_config(format=99), "expected format 1, got 99"),
        (edit_config(color="red"), "has other keys: color"),
        (
            edit_config(encoder_width="wide"),
            "encoder_width in config.json: expected <class 'int'>, got 'wide'",
        ),
        (
            edit_config(fsq_levels=[4, 4.5]),
            r"fsq_levels in config.json: expected .*, got \[4, 4.5\]",
        ),
        (edit_config(encoder_width=8), "the weights do not fit its config.json"),
        (edit_config(network="magic"), r"network: expected one of \(.*\), got 'magic'"),
    ],
)
def test_damaged_folders(tiny_tokenizer, tmp_path, damage, message):
    tiny_tokenizer.save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path)


VALUES = [
    None, True, 0, 1, -1, 2, 7, 64, 10**6, 2**31, 10**30, 0.5, -0.0, 1e300, float("nan"),
    float("inf"), "", "vq", "patch", "64", [], [1], [0], [4, 4], [4, "4"], [10**9, 10**9], [[1]],
    {}, {"a": 1}, "\u0000", "a" * 10_000,
]  # fmt: skip


CASES = 120


def damage_config(rng, folder):
    """Changes config.json: a value, a key, the text, the whole."""
    path = folder / "config.json"
    tree = json.loads(path.read_text())
    keys = list(tree)
    kind = rng.integers(10)
    if kind < 6:
        tree[keys[rng.integers(len(keys))]] = VALUES[rng.integers(len(VALUES))]
    elif kind == 6:
        del tree[keys[rng.integers(len(keys))]]
    elif kind == 7:
        tree[str(VALUES[rng.integers(len(VALUES))])] = 1
    elif kind == 8:
        text = path.read_text()
        path.write_text(text[: rng.integers(len(text) - 2)])
        return
    else:
        texts = [b"", b"[]", b"null", b"3", b"[" * 100_000, b"\xff\xfe\x00", b'"model"', b"{}" * 2]
        path.write_bytes(texts[rng.integers(len(texts))])
        return
    path.write_text(json.dumps(tree))


def damage_weights(rng, folder):
    """Changes model.safetensors: its bytes, its length, a tensor."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    kind = rng.integers(9)
    if kind == 0:
        path.write_bytes(content[: rng.integers(len(content))])
    elif kind == 1:
        # The head says how long it is and what lies where.
        changed = bytearray(content)
        changed[rng.integers(200)] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
    elif kind == 2:
        path.write_bytes(bytes(rng.integers(0, 256, rng.integers(400), dtype=np.uint8)))
    elif kind == 3:
        path.write_bytes(content + b"more")
    elif kind == 4:
        path.unlink()
    else:
        damage_tensor(rng, path, kind)


def damage_tensor(rng, path, kind):
    weights = load_file(path)
    name = sorted(weights)[rng.integers(len(weights))]
    value = weights[name]
    if kind == 5:
        del weights[name]
    elif kind == 6:
        weights[f"{name}.more"] = value.clone()
    elif kind == 7:
        others = [value[..., :-1], value[None], value.double(), value.int(), value.bool()]
        weights[name] = others[rng.integers(5)].contiguous()
    else:
        value.view(-1)[rng.integers(value.numel())] = float(rng.choice([np.nan, np.inf]))
    save_file(weights, path, metadata={"format": "pt"})


def test_damage_of_all_kinds(tiny_tokenizer, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    expected = tiny_tokenizer.encode(frames)
    whole = tmp_path / "whole"
    tiny_tokenizer.save_pretrained(whole)
    refused = 0
    for case in range(CASES):
        rng = np.random.default_rng((3, case))
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        (damage_config if rng.random() < 0.4 else damage_weights)(rng, folder)
        try:
            loaded = Tokenizer.from_pretrained(folder)
        except ValueError as error:
            refused += 1
            assert len(str(error)) > 20, error
        else:
            # What was changed is not used by this design, or says the same.
            assert loaded.frame_shape == (16, 24, 3), case
            same_bytes = (folder / "model.safetensors").read_bytes() == (
                whole / "model.safetensors"
            ).read_bytes()
            assert not same_bytes or torch.equal(loaded.encode(frames), expected), case
            assert loaded.decode(expected).shape == frames.shape
        shutil.rmtree(folder)
    assert refused > CASES / 2


def test_half_weights_load_as_float32(world_model, tmp_path):
    world_model.save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").stat().st_size
    round_to_half(world_model.state_dict())
    write_half_weights(tmp_path, world_model.state_dict())
    assert (tmp_path / "model.safetensors").stat().st_size < 0.55 * whole
    again = WorldModel.from_pretrained(tmp_path)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert again.fingerprint == world_model.fingerprint


def test_weights_beyond_half_are_named(world_model, tmp_path):
    with torch.no_grad():
        world_model.network.transformer.norm.bias[0] = 1e6
    with pytest.raises(ValueError, match=r"transformer.norm.bias: 1e\+06 is beyond float16"):
        write_half_weights(tmp_path, world_model.state_dict())
    assert not list(tmp_path.iterdir())


def test_whole_grey_levels_are_kept_in_one_byte(tmp_path):
    tokenizer = Tokenizer(TokenizerConfig(codebook_size=16))
    tokenizer.state_dict()["quantizers.0.codes"][0, 0] = -0.0
    tokenizer.save_pretrained(tmp_path)
    round_to_half(tokenizer.state_dict())
    write_half_weights(tmp_path, tokenizer.state_dict())
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["quantizers.0.codes"].dtype == torch.int8
    loaded = Tokenizer.from_pretrained(tmp_path)
    assert loaded.fingerprint == tokenizer.fingerprint
    codes = loaded.state_dict()["quantizers.0.codes"]
    assert codes.dtype == torch.float32
    assert torch.equal(codes, tokenizer.state_dict()["quantizers.0.codes"])


def test_any_flipped_bit_of_the_weights_is_noticed(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(len(whole), size=40).tolist():
        content = bytearray(whole)
        content[position] ^= 64
        path.write_bytes(content)
        try:
            loaded = Tokenizer.from_pretrained(tmp_path)
        except ValueError:
            continue
        # Only a name in the metadata that nobody reads may change.
        assert loaded.fingerprint == tiny_tokenizer.fingerprint
    (size,) = struct.unpack("<Q", whole[:8])
    content = bytearray(whole)
    content[8 + size + 3] ^= 64
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its weights changed since they were written"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_changed_config_is_noticed(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    text = path.read_text()
    path.write_text(text.replace('"codebook_decay": 0.99', '"codebook_decay": 0.98'))
    with pytest.raises(ValueError, match="config.json: expected the content that was written"):
        Tokenizer.from_pretrained(tmp_path)
    path.write_text(text)
    assert Tokenizer.from_pretrained(tmp_path).facts == tiny_tokenizer.facts


def test_exports_are_as_readable_as_other_files(tiny_tokenizer, tmp_path):
    (tmp_path / "other").touch()
    tiny_tokenizer.save_pretrained(tmp_path / "export")
    write_half_weights(tmp_path / "export", tiny_tokenizer.state_dict())
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "export").iterdir()}
    assert set(modes.values()) == {(tmp_path / "other").stat().st_mode}, modes


def test_a_file_that_may_not_be_read_is_named(tiny_tokenizer, tmp_path, monkeypatch):
    tiny_tokenizer.save_pretrained(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(ValueError, match=r"cannot be read \(Permission denied\); ask its owner"):
        Tokenizer.from_pretrained(tmp_path)
