import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig


@pytest.fixture
def world_model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(WorldModelConfig(tokenizer="abc", layers=1, width=32, heads=2)).eval()
