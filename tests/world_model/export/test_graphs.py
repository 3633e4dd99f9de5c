import numpy as np
import pytest
import torch

from tests.world_model.tiny import episode, tiny
from worldtokens.world_model.export.agreement import GraphDreams
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, FrameStep
from worldtokens.world_model.export.graphs import write_step

MODELS = [
    ("gated", {}),
    ("gated", dict(latents=2, latent_classes=5, outcomes="frame", predicts_lives=True)),
    ("factorised", dict(refine_layers=1, refine_passes=2)),
    ("parallel", dict(positions="absolute")),
    ("autoregressive", dict(stay_gate=True)),
]


@pytest.mark.parametrize(("shape", "changes"), MODELS, ids=str)
def test_a_graph_computes_what_the_step_does(shape, changes, tmp_path):
    step = FrameStep(tiny(shape, **changes).network).eval()
    write_step(step, tmp_path / "step.onnx", 2)
    tokens, actions = episode(8)
    for temperature in (0.0, 1.0, 0.7):
        graph = GraphDreams(tmp_path / "step.onnx", step, 2)
        inputs = dict(zip(INPUTS, step.example_inputs(2), strict=True))
        current, seen = tokens[:, 0], set()
        for t in range(7):
            noise = torch.rand(2, step.layout.size, generator=torch.Generator().manual_seed(t))
            inputs |= {"tokens": current, "action": actions[:, t], "noise": noise}
            inputs["temperature"] = torch.tensor(temperature)
            with torch.no_grad():
                expected = dict(zip(OUTPUTS, step(*inputs.values()), strict=True))
            got = graph.step(current.numpy(), actions[:, t].numpy(), noise.numpy(), temperature)
            for name in ("next_tokens", "reward", "end", "life_lost", "next_past", "next_frames"):
                assert np.array_equal(got[name], expected[name].numpy()), (name, t)
            for name in ("entropy", "frame_entropy", "next_cache"):
                np.testing.assert_allclose(got[name], expected[name], atol=2e-4, rtol=1e-4)
            inputs |= {name: expected[f"next_{name}"] for name in ("past", "cache", "frames")}
            current = expected["next_tokens"]
            seen |= {tuple(row) for row in current.tolist()}
        assert len(seen) >= 2


def test_the_graph_says_what_it_is_made_for(tmp_path):
    import onnx

    write_step(FrameStep(tiny("gated").network), tmp_path / "step.onnx", 3)
    graph = onnx.load(tmp_path / "step.onnx").graph
    assert [value.name for value in graph.output] == list(OUTPUTS)
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    assert shapes["tokens"] == [3, 8] and shapes["frames"] == [3]
    # Keys and values, layers, dreams, positions, heads, frames, channels.
    assert shapes["cache"] == [2, 2, 3, 3, 2, 3, 8]
