import json

import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model import WorldModel, WorldModelConfig


def test_tokens_of_another_tokenizer_are_refused():
    tiny().check_tokenizer("abc")
    with pytest.raises(ValueError, match="trained on the tokens of tokenizer 'abc', not of 'xyz'"):
        tiny().check_tokenizer("xyz")


CODED = WorldModelConfig(
    vocab_size=3, code_dim=2, width=64, heads=2, layers=1, copies=1, history=2, stay_gate=False
)


def test_codes_are_saved_with_the_model(tmp_path):
    model = WorldModel(CODED)
    model.network.set_codes(torch.tensor([[0.0, 0.0], [0.1, 0.0], [-5.0, 3.0]]))
    model.save_pretrained(tmp_path)
    assert torch.equal(WorldModel.from_pretrained(tmp_path).network.codes, model.network.codes)


def test_a_saved_model_comes_back_as_it_was(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path / "run" / "export")
    for folder in (tmp_path / "run", tmp_path / "run" / "export"):
        again = WorldModel.from_pretrained(folder)
        assert again.config == model.config and again.fingerprint == model.fingerprint
        tokens, actions = torch.randint(7, (1, 3, 8)), torch.randint(3, (1, 2))
        with torch.no_grad():
            assert torch.equal(model(tokens, actions).tokens, again(tokens, actions).tokens)


def test_another_weight_is_another_fingerprint():
    model = tiny()
    before = model.fingerprint
    with torch.no_grad():
        model.network.transformer.norm.bias[0] += 1
    assert model.fingerprint != before


def test_damaged_and_foreign_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such folder; train one with"):
        WorldModel.from_pretrained(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is neither a run folder nor an export folder"):
        WorldModel.from_pretrained(tmp_path / "empty")
    folder = tmp_path / "export"
    tiny().save_pretrained(folder)
    tree = json.loads((folder / "config.json").read_text())
    del tree["facts"]["digest"]  # Changed on purpose.
    config = json.dumps(tree)
    for text, message in (
        ("{", "config.json is not JSON"),
        ("{}", "expected model 'worldtokens.world_model' in config.json, got None"),
        (config.replace('"format": 1', '"format": 9'), "expected format 1, got 9"),
        (config.replace('"heads"', '"head"'), "config.json has other keys: head, heads"),
        (config.replace('"layers": 2', '"layers": 3'), "the weights do not fit its config.json"),
    ):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            WorldModel.from_pretrained(folder)
    (folder / "config.json").write_text(config)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        WorldModel.from_pretrained(folder)


def test_weights_keep_the_names_of_the_first_version_in_files():
    model = tiny("factorised")
    state = model.state_dict()
    names = {"place_embedding", "token_embedding.weight", "transformer.blocks.0.space.qkv.weight"}
    assert names <= state.keys()
    assert not [name for name in state if name.startswith("network") or "position_emb" in name]
    assert torch.equal(state["place_embedding"], model.network.position_embedding)
    torch.manual_seed(1)
    other = WorldModel(model.config)
    assert other.fingerprint != model.fingerprint
    other.load_state_dict(state)
    assert other.fingerprint == model.fingerprint
    assert torch.equal(other.network.position_embedding, model.network.position_embedding)


def test_weights_come_in_the_order_of_the_first_version():
    # The optimizer's state in a checkpoint knows the weights by their order only.
    names = [name for name, _ in tiny("factorised").named_parameters()]
    heads = ("position_embedding", "token_embedding.weight", "action_embedding.weight")
    assert names[:3] == [f"network.{name}" for name in heads]
    assert names[-2:] == ["network.copy_gate.weight", "network.copy_gate.bias"]


def test_the_repr_is_one_line():
    text = repr(tiny())
    assert "\n" not in text and text.startswith("WorldModel(") and "8 tokens of 7" in text
