"""Another game, grid and kind of model, dropped on the page as a folder."""

import numpy as np
import pytest
import torch

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.export.description import Graph, describe, write_description
from worldtokens.world_model.export.dream_folder import FLOAT32
from worldtokens.world_model.export.frame_step import FrameStep
from worldtokens.world_model.export.graphs import write_step
from worldtokens.world_model.export.starts import Start

pytestmark = pytest.mark.slow


@pytest.fixture
def other(new_tiny_tokenizer, tmp_path):
    """An autoregressive model of 2 x 3 tokens as a folder, and the model."""
    from worldtokens.tokenizer.onnx_graphs import export_onnx

    tokenizer = new_tiny_tokenizer()
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=12, grid=(2, 3), merge=1,
        prediction="autoregressive", attention="full", history=1, num_actions=3, context=4,
        layers=1, heads=2, width=32, reward_values=[0.0, 5.0],
    )  # fmt: skip
    model = WorldModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    model.imaginer.uses_autocast = False
    write_step(FrameStep(model.network), tmp_path / "step.onnx", 1)
    files = export_onnx(tokenizer, tmp_path)
    start = Start("start 1", "a", 0, 3, [[0, 1, 2, 3, 4, 5], [1] * 6], [2])
    graphs = {"step": tmp_path / "step.onnx", "decode": files.decode, "encode": files.encode}
    described = {name: {FLOAT32: Graph.of(path)} for name, path in graphs.items()}
    meanings = ("NOOP", "RIGHT", "LEFT")
    write_description(tmp_path, describe(model, tokenizer, meanings, 4, 1, [start], described))
    return tmp_path, model, start


def test_a_folder_of_another_game_is_played(visit, built_page, other):
    folder, model, start = other
    played = visit(built_page)
    played.wait()
    played.page.set_input_files("#file", [str(path) for path in sorted(folder.iterdir())])
    played.wait_for("document.getElementById('game').textContent === 'Fake Game'")
    played.wait()
    actions = [1, 2, 0, 1, 1, 2]
    rollout = model.imagine(
        torch.tensor([start.tokens]), torch.tensor([start.actions]), torch.tensor([actions]),
        top_k=1,
    )  # fmt: skip
    assert np.array_equal(played.steps(actions), rollout.tokens[0].numpy())
    rewards = played.call("return app.dream.steps.map(({reward}) => reward)")
    assert rewards == rollout.rewards[0].tolist()
    assert played.page.inner_text("#score") == str(int(sum(rewards)))
    # Lives: three at the start, and as many lost as the model says.
    left = max(0, 3 - int(rollout.lives_lost.sum()))
    assert played.page.locator("#lives i:not(.lost)").count() == left
    assert played.page.evaluate("document.getElementById('picture').width") == 24
