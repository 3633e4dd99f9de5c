"""Where from_pretrained looks, for tokenizers and world models alike."""

import shutil

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from worldtokens.hub import locations
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel


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
    with pytest.raises(
        ValueError, match="name: expected weights .* got 'Pong'; shipped are montezuma_r"
    ):
        locations.shipped_folder("Pong")
    shutil.rmtree(shipped)
    with pytest.raises(ValueError, match="shipped are none"):
        Tokenizer.from_pretrained("montezuma_revenge")


def test_a_folder_that_holds_both(shipped, tiny_tokenizer):
    loaded = Tokenizer.from_pretrained(shipped / "montezuma_revenge")
    assert loaded.fingerprint == tiny_tokenizer.fingerprint


def test_a_folder_of_the_same_name_comes_first(shipped, new_tiny_tokenizer, tmp_path, monkeypatch):
    other = new_tiny_tokenizer(seed=5)
    other.save_pretrained(tmp_path / "here" / "montezuma_revenge")
    monkeypatch.chdir(tmp_path / "here")
    assert Tokenizer.from_pretrained("montezuma_revenge").fingerprint == other.fingerprint


def test_the_hub_is_requests_for_ids(shipped, tiny_tokenizer, monkeypatch):
    requests = []

    def download(repo, name, *, revision, token, local_files_only):
        requests.append((repo, name, revision, local_files_only))
        if repo == "me/none":
            raise LocalEntryNotFoundError("offline")
        return str(shipped / "montezuma_revenge" / "tokenizer" / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    loaded = Tokenizer.from_pretrained("me/game", revision="v1")
    assert loaded.fingerprint == tiny_tokenizer.fingerprint
    files = ("model.safetensors", "config.json")
    assert requests == [("me/game", name, "v1", False) for name in files]
    with pytest.raises(ValueError, match="world model me/none: no such folder, and the Hub gave"):
        WorldModel.from_pretrained("me/none")


def test_load_from_a_run_folder(tiny_tokenizer, tmp_path):
    (tmp_path / "config.yaml").write_text("env: Pong\n")
    with pytest.raises(ValueError, match="has no export/ yet"):
        Tokenizer.from_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path / "export")
    assert Tokenizer.from_pretrained(str(tmp_path)).fingerprint == tiny_tokenizer.fingerprint


def test_missing_and_foreign_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no such folder; train one with worldtokens train-tok"):
        Tokenizer.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is neither a run folder nor an export folder"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder, got a file"):
        Tokenizer.from_pretrained(tmp_path / "file")
    with pytest.raises(ValueError, match="no such folder, and the Hub gave no model.safetensors"):
        Tokenizer.from_pretrained("nobody/nothing", local_files_only=True)


@pytest.mark.parametrize(
    "path", [None, 3, b"here", [], {}, 1.5, "", " ", "\0", "a/b/c", "a" * 5000, "../..", "~", "//"]
)
def test_paths_of_all_kinds(path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="^tokenizer"):
        Tokenizer.from_pretrained(path, local_files_only=True)


def test_snake_case():
    assert locations.snake_case("MontezumaRevenge") == "montezuma_revenge"
    assert locations.snake_case("Pong") == locations.snake_case("pong") == "pong"
