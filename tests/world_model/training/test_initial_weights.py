import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.training.initial_weights import start_from


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
    with pytest.raises(ValueError, match="'xyz'"):
        start_from(tiny(tokenizer="xyz"), str(tmp_path))
