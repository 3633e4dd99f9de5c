import pytest
import torch

from worldtokens import Tokenizer, WorldModel, WorldModelConfig


@pytest.fixture
def model(tokenizer_folder) -> WorldModel:
    """A world model of the fake game with fresh weights, over the tokens of `tokenizer_folder`."""
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=tokenizer.vocab_size,
        grid=tokenizer.grid, num_actions=6, reward_values=[0.0, 100.0], context=4, layers=1,
        heads=2, width=16, copies=1, history=2, stay_gate=False,
    )  # fmt: skip
    return WorldModel(config).eval()
