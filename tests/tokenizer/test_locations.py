"""Where from_pretrained looks, for tokenizers and world models alike."""

import json
import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file

from worldtokens.hub import locations
from worldtokens.hub.model_files import round_to_half, write_half_weights
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.world_model import WorldModel, WorldModelConfig


@pytest.fixture
def world_model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(WorldModelConfig(tokenizer="abc", layers=1, width=32, heads=2)).eval()


@pytest.fixture
def shipped(tiny_tokenizer, world_model, tmp_path, monkeypatch):
    """A folder pretrained/ with one game, in the place of the project's own."""
    folder = tmp_path / "pretrained"
    tiny_tokenizer.save_pretrained(folder / "montezuma_revenge" / "tokenizer")
    world_model.save_pretrained(folder / "montezuma_revenge" / "world_model")
    (folder / "notes").mkdir()
    monkeypatch.setattr(locations, "SHIPPED", folder)
    return folder


@pytest.mark.parametrize("name", ["montezuma_revenge", "MontezumaRevenge"])
def test_shipped_weights_have_names(shipped, tiny_tokenizer, world_model, name, tmp_path):
    assert Tokenizer.from_pretrained(name).fingerprint == tiny_tokenizer.fingerprint
    assert WorldModel.from_pretrained(name).fingerprint == world_model.fingerprint
    assert locations.shipped_names() == ["montezuma_revenge"]
    assert locations.shipped_folder(name) == shipped / "montezuma_revenge"


def test_unknown_names_list_what_is_there(shipped):
    with pytest.raises(ValueError, match=r"world model pong: .*a name: shipped are montezuma_rev"):
        WorldModel.from_pretrained("pong")
    with pytest.raises(ValueError, match="no weights named 'Pong' come .* shipped are montezuma_r"):
        locations.shipped_folder("Pong")
    shutil.rmtree(shipped)
    with pytest.raises(ValueError, match="shipped are none"):
        Tokenizer.from_pretrained("montezuma_revenge")


def test_a_folder_that_holds_both(shipped, tiny_tokenizer):
    found = Tokenizer.from_pretrained(shipped / "montezuma_revenge")
    assert found.fingerprint == tiny_tokenizer.fingerprint


def test_a_folder_of_the_same_name_comes_first(shipped, new_tiny_tokenizer, tmp_path, monkeypatch):
    other = new_tiny_tokenizer(seed=5)
    other.save_pretrained(tmp_path / "here" / "montezuma_revenge")
    monkeypatch.chdir(tmp_path / "here")
    assert Tokenizer.from_pretrained("montezuma_revenge").fingerprint == other.fingerprint


def test_each_kind_refuses_the_other(shipped):
    place = shipped / "montezuma_revenge"
    with pytest.raises(ValueError, match="is not a world model: .* 'worldtokens.tokenizer', not "):
        WorldModel.from_pretrained(place / "tokenizer")
    with pytest.raises(ValueError, match="is not a tokenizer: .* says model 'worldtokens.world_m"):
        Tokenizer.from_pretrained(place / "world_model")


def test_the_hub_is_asked_for_ids(shipped, tiny_tokenizer, monkeypatch):
    asked = []

    def download(repo, name, *, revision, token, local_files_only):
        asked.append((repo, name, revision, local_files_only))
        if repo == "me/none":
            raise LocalEntryNotFoundError("offline")
        return str(shipped / "montezuma_revenge" / "tokenizer" / name)

    monkeypatch.setattr(locations, "hf_hub_download", download)
    found = Tokenizer.from_pretrained("me/game", revision="v1")
    assert found.fingerprint == tiny_tokenizer.fingerprint
    files = ("model.safetensors", "config.json")
    assert asked == [("me/game", name, "v1", False) for name in files]
    with pytest.raises(ValueError, match="world model me/none: no such folder, and the Hub gave"):
        WorldModel.from_pretrained("me/none")


def test_pushing_takes_files_and_card_along(world_model, monkeypatch):
    seen = {}

    class Api:
        def __init__(self, **kwargs):
            pass

        def create_repo(self, repo_id, **kwargs):
            return type("Url", (), {"repo_id": repo_id})

        def upload_folder(self, repo_id, folder_path, **kwargs):
            seen.update({path.name: path.read_bytes() for path in folder_path.iterdir()})

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    world_model.record_training(
        game="Pong", data="9 frames", command="python x", training="1 step", metrics={"a": 1.0}
    )
    world_model.push_to_hub("me/game")
    assert sorted(seen) == ["README.md", "config.json", "model.safetensors"]
    assert b"# World model of Pong" in seen["README.md"]
    assert json.loads(seen["config.json"])["facts"]["metrics"] == {"a": 1.0}


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
        world_model.transformer.norm.bias[0] = 1e6
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
