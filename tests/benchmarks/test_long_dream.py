import pytest
import torch
from long_dream import Dream, measure, state_bytes

from worldtokens.world_model import WorldModel, WorldModelConfig

SHAPES = {
    "parallel": dict(prediction="parallel"),
    "refined": dict(prediction="parallel", refine_layers=1),
    "autoregressive": dict(prediction="autoregressive", attention="full", merge=1, history=1),
    "absolute": dict(
        prediction="autoregressive", attention="full", merge=1, history=1, positions="absolute"
    ),
}


def tiny(shape):
    torch.manual_seed(0)
    config = WorldModelConfig(
        **{
            **dict(vocab_size=7, grid=(4, 2), num_actions=3, context=3, layers=2, heads=2),
            **dict(width=16, copies=2, history=2, stay_gate=False),
            **SHAPES[shape],
        }
    )
    model = WorldModel(config).eval()
    model.imaginer.uses_autocast = False
    return model


def buffers(layer):
    return layer.keys.data_ptr(), layer.values.data_ptr(), layer.keys.shape


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_dream_keeps_its_tensors_and_their_sizes(shape):
    dream = Dream(tiny(shape), batch=2)
    for _ in range(5):
        dream.step()
    state = dream.state
    before = [buffers(layer) for layer in state.cache.layers]
    size = state_bytes(state)
    positions = 9 if shape in ("autoregressive", "absolute") else 3
    # layers x (keys, values) x batch x context x positions x width x 4 bytes, and int64 tokens.
    assert size == 2 * 2 * 2 * 3 * positions * 16 * 4 + 2 * 8 * 8 * len(state.past_frames)
    for _ in range(40):
        dream.step()
    assert [
        (r.keys.data_ptr(), r.values.data_ptr(), r.keys.shape) for r in state.cache.layers
    ] == before
    assert state_bytes(state) == size and state.cache.used <= 3 and state.cache.slot < 3


def test_a_fork_goes_on_by_itself():
    dream = Dream(tiny("parallel"), batch=2)
    for _ in range(4):
        dream.step()
    kept = [layer.keys.clone() for layer in dream.state.cache.layers]
    other = dream.fork()
    for _ in range(3):
        other.step()
    assert (dream.state.cache.frames, other.state.cache.frames) == (4, 7)
    for layer, keys in zip(dream.state.cache.layers, kept, strict=True):
        assert torch.equal(layer.keys, keys)


def test_stretches_are_measured_every_fifty_frames():
    rows = measure("tiny", tiny("parallel"), batch=1, frames=160)
    assert [row.frame for row in rows] == [50, 100, 150]
    assert len({row.state_bytes for row in rows}) == 1
    assert all(row.milliseconds > 0 and row.ratio > 0 for row in rows)
    peaks = [row.peak_bytes for row in rows]
    assert peaks == sorted(peaks) and peaks[0] > 2**20
