import pytest
import torch

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.transformer import Transformer

SHAPES = {
    "full": dict(attention="full", prediction="parallel"),
    "causal": dict(attention="full", prediction="autoregressive", merge=1, history=1),
    "factorised": dict(attention="factorised", prediction="parallel"),
    "absolute": dict(attention="factorised", prediction="parallel", positions="absolute"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_with_a_cache_equal_the_whole_sequence(shape):
    torch.manual_seed(0)
    settings = dict(width=16, heads=2, layers=2, context=4, copies=1, grid=(2, 4), merge=2)
    config = WorldModelConfig(**{**settings, **SHAPES[shape]})
    transformer = Transformer(config).eval()
    for weight in transformer.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    x = torch.randn(2, 4, config.block_size, 16)
    cache = transformer.new_cache(2)
    with torch.no_grad():
        whole = transformer(x)
        steps = [transformer.step(x[:, t], cache) for t in range(4)]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=2e-5, rtol=1e-5)
    assert cache.frames == 4


def test_a_cache_has_a_row_per_position_where_attention_is_factorised():
    settings = dict(width=16, heads=2, layers=3, context=4, copies=1, grid=(2, 4), merge=2)
    factorised = Transformer(WorldModelConfig(**settings)).new_cache(5)
    assert len(factorised.layers) == 3
    assert factorised.layers[0].keys.shape == (5 * 3, 2, 4, 8)
    full = Transformer(WorldModelConfig(**settings, attention="full")).new_cache(5)
    assert full.layers[0].keys.shape == (5, 2, 4 * 3, 8)
