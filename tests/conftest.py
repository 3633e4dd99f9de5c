from collections.abc import Callable, Iterator

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from worldtokens.collect.run import CollectConfig
from worldtokens.collect.run import main as collect
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.training.command_line import compose


@pytest.fixture(autouse=True)
def fresh_accelerator_state() -> Iterator[None]:
    """Lets each test choose its precision: accelerate keeps the first one of a process."""
    yield
    AcceleratorState._reset_state()
    GradientState._reset_state()
    PartialState._reset_state()


@pytest.fixture(scope="session")
def new_tiny_tokenizer() -> Callable[..., Tokenizer]:
    """Makes tokenizers of 16 x 24 frames, 2 x 3 tokens of 12 codes, with fresh weights."""

    def make(spread: float = 2.0, seed: int = 0, **changes) -> Tokenizer:
        """`spread` of the last encoder layer's weights: small ones give every patch one token."""
        small = dict(encoder_width=16, decoder_width=16, encoder_depth=1, decoder_depth=1)
        config = TokenizerConfig(16, 24, "patch", quantizer="fsq", decoder_fine_depth=1)
        torch.manual_seed(seed)
        fields = {**vars(config), **small, "fsq_levels": [4, 3], **changes}
        made = Tokenizer(TokenizerConfig(**fields)).eval()
        torch.nn.init.normal_(made.network.encoder[-1].weight, std=spread)
        return made

    return make


@pytest.fixture
def tiny_tokenizer(new_tiny_tokenizer) -> Tokenizer:
    return new_tiny_tokenizer()


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """An exploration of the fake game in small frames, which knows ways to the key in room 1."""
    folder = tmp_path_factory.mktemp("explored")
    overrides = (
        f"env=FakeGame data={folder} policy=go_explore policy.explore_steps=12000 num_workers=1 "
        "policy.num_explorations=1 num_steps=200 env_config.frame_height=16 "
        "env_config.frame_width=24 env_config.max_episode_steps=300"
    )
    collect(compose(CollectConfig, "collect", overrides.split()))
    return folder
