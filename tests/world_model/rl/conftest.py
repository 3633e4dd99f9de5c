"""Untrained models for dreams of agents, over the walking square of tests/world_model."""

import pytest
import torch

from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel, WorldModelConfig


@pytest.fixture
def models(tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=64, grid=(2, 4),
        num_actions=3, reward_values=[0.0, 100.0], context=4, layers=1, heads=2, width=32,
        copies=1, history=2, stay_gate=False,
    )  # fmt: skip
    model = WorldModel(config).eval()
    model.imaginer.uses_autocast = False
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model, tokenizer


@pytest.fixture
def never_ending():
    """Makes dreams of a world model go on until their horizon."""

    def change(model):
        with torch.no_grad():
            model.network.end_head[-1].bias.copy_(torch.tensor([50.0, -50.0]))
        return model

    return change
