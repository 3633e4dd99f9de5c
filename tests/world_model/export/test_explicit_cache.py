import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.world_model.export.explicit_cache import (
    ExplicitTransformer,
    attend,
    cache_shape,
    known_frames,
)


@pytest.mark.parametrize("shape", ["factorised", "parallel", "merged", "autoregressive"])
@pytest.mark.parametrize("positions", ["rotary", "absolute"])
def test_blocks_come_out_as_from_the_whole_sequence(shape, positions):
    model = tiny(shape, positions=positions)
    config, transformer = model.config, model.network.transformer
    x = torch.randn(2, config.context, config.block_size, config.width)
    explicit = ExplicitTransformer(transformer)
    cache, frames = torch.full(cache_shape(config, 2), 9.0), torch.zeros(2, dtype=torch.int64)
    # Absolute autoregressive models keep a frame's room for what is drawn.
    length = config.context - (positions == "absolute" and shape == "autoregressive")
    with torch.no_grad():
        whole = transformer(x[:, :length])
        for t in range(length):
            y, cache = explicit(x[:, t], cache, frames)
            torch.testing.assert_close(y, whole[:, t], atol=1e-4, rtol=1e-4)
            frames = frames + 1


def test_rows_may_have_read_different_numbers_of_frames():
    model = tiny("factorised")
    config, transformer = model.config, model.network.transformer
    explicit = ExplicitTransformer(transformer)
    x = torch.randn(2, config.block_size, config.width)
    cache = torch.randn(cache_shape(config, 2))
    with torch.no_grad():
        y, _ = explicit(x, cache, torch.tensor([0, 5]))
        alone, _ = explicit(x[:1], torch.zeros_like(cache[:, :, :1]), torch.tensor([0]))
        full, _ = explicit(x[1:], cache[:, :, 1:], torch.tensor([2]))
    torch.testing.assert_close(y[:1], alone)
    # With two frames read and one now, a context of three is full: more change nothing.
    torch.testing.assert_close(y[1:], full)


def test_frames_that_a_cache_holds():
    frames = torch.arange(6)
    rotary = tiny("parallel").config
    assert known_frames(rotary, frames).tolist() == [0, 1, 2, 3, 3, 3]
    absolute = tiny("parallel", positions="absolute").config
    assert known_frames(absolute, frames).tolist() == [0, 1, 2, 0, 1, 2]
    ahead = tiny("autoregressive", positions="absolute").config
    assert known_frames(ahead, frames).tolist() == [0, 1, 0, 1, 0, 1]


def test_attention_by_hand():
    q, k = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0**0.5, 5.0], [0.0, 7.0], [9.0, 9.0]])
    v = torch.tensor([[1.0], [3.0], [100.0]])
    mask = torch.tensor([[True, True, False]])
    e = torch.tensor(1.0).exp()
    expected = (e * 1 + 1 * 3) / (e + 1)
    assert attend(q, k, v, mask).item() == pytest.approx(expected.item(), rel=1e-5)
