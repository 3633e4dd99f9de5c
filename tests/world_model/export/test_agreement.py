import numpy as np

from tests.world_model.tiny import tiny
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.export.agreement import GraphDreams, compare_with_imagine
from worldtokens.world_model.export.frame_step import FrameStep
from worldtokens.world_model.export.graphs import write_step


def starts(count):
    rng = np.random.default_rng(0)
    steps = dict(rewards=np.zeros(12, np.float32), truncated=np.zeros(12, bool))
    return [
        (
            TokenEpisode(
                f"{n}", rng.integers(7, size=(13, 8)), rng.integers(3, size=12),
                terminated=np.zeros(12, bool), **steps,
            ),
            0,
        )
        for n in range(count)
    ]  # fmt: skip


def test_the_graph_of_a_model_agrees_and_that_of_another_does_not(tmp_path):
    model, other = tiny("gated"), tiny("gated")
    for parameter in other.parameters():
        parameter.data.mul_(-1)
    path = tmp_path / "step.onnx"
    write_step(FrameStep(model.network), path, 2)
    # Three dreams in batches of two: the second batch is filled up.
    assert compare_with_imagine(model, path, 2, starts(3), 3, 8) == 1.0
    assert compare_with_imagine(other, path, 2, starts(3), 3, 8) < 0.9
    assert model.imaginer.uses_autocast is False


def test_a_dream_keeps_its_state(tmp_path):
    step = FrameStep(tiny("gated").network)
    write_step(step, tmp_path / "step.onnx", 1)
    dreams = GraphDreams(tmp_path / "step.onnx", step, 1)
    tokens = np.zeros((1, 8), np.int64)
    for number in (1, 2):
        out = dreams.step(tokens, np.array([0]))
        assert out["next_frames"].tolist() == [number] and out is dreams.outputs
