import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.training.initial_weights import TokenMatch, start_from


def test_what_fits_is_copied_and_rewards_by_their_value(tmp_path, capsys):
    old = tiny(reward_values=[0.0, 100.0])
    old.save_pretrained(tmp_path)
    config = {**vars(old.config), "reward_values": [0.0, 50.0, 100.0], "predicts_lives": True}
    model = WorldModel(WorldModelConfig(**config))
    before = model.network.reward_head[-1].bias.detach().clone()
    fresh = start_from(model, str(tmp_path))
    assert {name.split(".")[0] for name in fresh} == {"life_head"}
    assert "life_head starts fresh" in capsys.readouterr().out
    for name in ("merge", "unmerge"):
        mine, its = getattr(model.network, name), getattr(old.network, name)
        assert torch.equal(mine.weight, its.weight)
    bias, its = model.network.reward_head[-1].bias, old.network.reward_head[-1].bias
    assert torch.equal(bias[[0, 2]], its) and bias[1] == before[1]


def test_another_tokenizers_model_is_refused(tmp_path):
    tiny().save_pretrained(tmp_path)
    message = "tokenizer 'xyz', got one on those of 'abc'; give that one with init_tokenizer="
    with pytest.raises(ValueError, match=message):
        start_from(tiny(tokenizer="xyz"), str(tmp_path))


def test_a_match_of_a_third_tokenizer_is_refused(tmp_path):
    tiny().save_pretrained(tmp_path)
    match = TokenMatch("third", torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match="trained on the tokens of tokenizer 'abc', not of"):
        start_from(tiny(tokenizer="xyz", vocab_size=5), str(tmp_path), match)


@pytest.mark.parametrize("shape", ["factorised", "gated", "autoregressive"])
def test_a_model_of_matched_tokens_predicts_what_the_other_does(tmp_path, shape):
    """With a partner for each token and codes of another dimension, logits are those of it."""
    old = tiny(shape, code_dim=2)
    old.network.set_codes(torch.randn(7, 2))
    old.save_pretrained(tmp_path)
    new = tiny(shape, tokenizer="xyz", vocab_size=5, code_dim=3)
    codes = torch.randn(5, 3)
    new.network.set_codes(codes)
    kept = new.network.codes.clone()
    partners = torch.tensor([6, 2, 0, 3, 1])
    assert start_from(new, str(tmp_path), TokenMatch("abc", partners)) == []
    assert torch.equal(new.network.codes, kept)
    tokens = torch.randint(5, (2, 3, 8))
    actions = torch.tensor([[0, 2], [1, 1]])
    mine, its = new(tokens, actions), old(partners[tokens], actions)
    assert torch.allclose(mine.rewards, its.rewards, atol=1e-4)
    if shape != "gated":
        assert torch.allclose(mine.tokens, its.tokens[..., partners], atol=1e-4)
    assert torch.allclose(new.network.tables().inputs, old.network.tables().inputs[partners])


def test_tokens_without_a_partner_start_near_those_of_like_codes(tmp_path):
    old = tiny(vocab_size=7)
    old.save_pretrained(tmp_path)
    new = tiny(tokenizer="xyz", vocab_size=40, code_dim=3)
    with torch.no_grad():
        new.network.token_embedding.weight.zero_()
    codes = torch.randn(40, 3)
    codes[1] = codes[0]
    new.network.set_codes(codes)
    partners = torch.randint(7, (40,))
    partners[1] = -1
    start_from(new, str(tmp_path), TokenMatch("abc", partners))
    inputs = new.network.tables().inputs
    expected = new.network.code_input(new.network.codes)[0]
    assert torch.allclose(inputs[1], expected) and not torch.allclose(inputs[0], expected)
    bias = new.network.token_head[-1].bias
    assert bias[1] == bias.min() and bias[1] in old.network.token_head[-1].bias
