import torch
from torch import nn

from worldtokens.world_model.networks.attention import (
    Attention,
    FeedForward,
    attend,
    residual_outputs,
)
from worldtokens.world_model.networks.kv_cache import CacheSlots, LayerCache


def test_attention_weighs_values_by_their_keys():
    q = torch.tensor([[[[100.0, 0.0]]]])
    k = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    v = torch.tensor([[[[3.0], [5.0]]]]).expand(1, 1, 2, 1)
    assert attend(q, k, v, None, 0.0).item() == 3.0
    only_second = torch.tensor([[False, True]])
    assert attend(q, k, v, only_second, 0.0).item() == 5.0


def test_a_cache_gives_what_the_whole_sequence_gives():
    torch.manual_seed(0)
    layer = Attention(8, 2, 0.0).eval()
    x = torch.randn(1, 3, 8)
    whole = layer(x, None, torch.ones(3, 3, dtype=torch.bool).tril())
    cache = LayerCache(1, 2, 3, 4, x)
    steps = [layer(x[:, t : t + 1], None, None, cache, CacheSlots(t, t + 1)) for t in range(3)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_outputs_added_to_the_residual_stream_are_found():
    layers = nn.ModuleList([Attention(8, 2, 0.0), FeedForward(8, 0.0), nn.Linear(8, 8)])
    assert list(residual_outputs(layers)) == [layers[0].out, layers[1].last]
