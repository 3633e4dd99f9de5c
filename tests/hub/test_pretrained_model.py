import json

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from worldtokens.hub.model_card import CardFacts
from worldtokens.tokenizer import Tokenizer


class RenamedTokenizer(Tokenizer):
    """A version whose last layer had another name in the first version."""

    def first_names(self):
        """See PretrainedModel.first_names."""
        return {**super().first_names(), "network.decoder.head": "network.decoder.last"}


def test_save_and_load(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = Tokenizer.from_pretrained(tmp_path)
    assert loaded.config == tiny_tokenizer.config
    assert not loaded.training
    assert loaded.fingerprint == tiny_tokenizer.fingerprint
    frames = torch.randint(0, 256, (2, 16, 24, 3), dtype=torch.uint8)
    assert torch.equal(loaded.encode(frames), tiny_tokenizer.encode(frames))


def test_fingerprint_tells_weights_and_configs_apart(tiny_tokenizer):
    other = Tokenizer(tiny_tokenizer.config)
    other.load_state_dict(tiny_tokenizer.state_dict())
    assert other.fingerprint == tiny_tokenizer.fingerprint
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    assert other.fingerprint != tiny_tokenizer.fingerprint


def test_renamed_parts_load_from_files_and_checkpoints(tiny_tokenizer, tmp_path):
    config = tiny_tokenizer.config
    old = {
        name.replace("network.decoder.head", "network.decoder.last"): value
        for name, value in tiny_tokenizer.state_dict().items()
    }
    checkpoint = RenamedTokenizer(config)
    checkpoint.load_state_dict(old)
    checkpoint.save_pretrained(tmp_path)
    save_file({k: v.contiguous() for k, v in old.items()}, tmp_path / "model.safetensors")
    loaded = RenamedTokenizer.from_pretrained(tmp_path)
    for model in (checkpoint, loaded):
        assert torch.equal(model.last_layer, tiny_tokenizer.last_layer)
    # It is hashed under the first name, so not as the tokenizer that never had another.
    assert loaded.fingerprint == checkpoint.fingerprint != tiny_tokenizer.fingerprint
    with pytest.raises(RuntimeError, match="network.decoder.last"):
        tiny_tokenizer.load_state_dict(old)


def test_repr_is_one_line(world_model, tiny_tokenizer):
    assert f"fingerprint {tiny_tokenizer.fingerprint[:8]}" in repr(tiny_tokenizer)
    for model in (tiny_tokenizer, world_model):
        assert repr(model).startswith(type(model).__name__ + "(") and "\n" not in repr(model)
        assert f"{sum(value.numel() for value in model.parameters()):,} weights" in repr(model)


def test_facts_travel_with_the_weights(tiny_tokenizer, tmp_path):
    tiny_tokenizer.record_training(
        game="FakeGame", data="9 frames", command="python x", training="1 step",
        metrics={"psnr": 20.0, "ssim": float("nan")},
    )  # fmt: skip
    fingerprint = tiny_tokenizer.fingerprint
    tiny_tokenizer.save_pretrained(tmp_path / "run" / "export")
    assert "NaN" not in (tmp_path / "run" / "export" / "config.json").read_text()
    again = Tokenizer.from_pretrained(tmp_path / "run")
    assert again.facts.metrics == {"psnr": 20.0, "ssim": None}
    assert again.fingerprint == fingerprint
    again.record_metrics(tmp_path / "run", {"psnr": 21.0, "flicker": 0.0})
    third = Tokenizer.from_pretrained(tmp_path / "run")
    assert third.facts.metrics == {"psnr": 21.0, "ssim": None, "flicker": 0.0}
    # Saved where an older card lies, and where there is none.
    for folder in (tmp_path / "run" / "export", tmp_path / "other"):
        third.save_pretrained(folder)
        text = (folder / "README.md").read_text()
        assert "| PSNR | 21.00 dB |" in text and "| trained on | 9 frames |" in text


def test_an_export_without_facts_still_loads(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    del tree["facts"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    assert Tokenizer.from_pretrained(tmp_path).facts == CardFacts()


def test_pushing_takes_files_and_card_along(world_model, monkeypatch):
    uploaded = {}

    class Api:
        def __init__(self, **kwargs):
            pass

        def create_repo(self, repo_id, **kwargs):
            return type("Url", (), {"repo_id": repo_id})

        def upload_folder(self, repo_id, folder_path, **kwargs):
            uploaded.update({path.name: path.read_bytes() for path in folder_path.iterdir()})

    monkeypatch.setattr(huggingface_hub.hub_mixin, "HfApi", Api)
    world_model.record_training(
        game="Pong", data="9 frames", command="python x", training="1 step", metrics={"a": 1.0}
    )
    world_model.push_to_hub("me/game")
    assert sorted(uploaded) == ["README.md", "config.json", "model.safetensors"]
    assert b"# World model of Pong" in uploaded["README.md"]
    assert json.loads(uploaded["config.json"])["facts"]["metrics"] == {"a": 1.0}


@pytest.mark.parametrize("path", ("", None, 3))
def test_a_folder_to_save_in_is_named(tiny_tokenizer, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="save_directory: expected a path, got "):
        tiny_tokenizer.save_pretrained(path)
    assert not list(tmp_path.iterdir())


def test_a_config_of_another_kind_is_named(world_model):
    for config in (None, "montezuma_revenge", world_model.config):
        with pytest.raises(TypeError, match="config: expected a TokenizerConfig, got "):
            Tokenizer(config)
