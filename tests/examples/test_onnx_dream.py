import json

import numpy as np
import pytest
import torch

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package} (the extra onnx)")

from worldtokens import EpisodeDataset, Tokenizer, WorldModel  # noqa: E402
from worldtokens.world_model.export.dream_folder import (  # noqa: E402
    ExportSettings,
    export_dream,
)


@pytest.mark.slow
def test_numpy_and_onnxruntime_dream_what_imagine_dreams(load_example, tmp_path):
    model = WorldModel.from_pretrained("montezuma_revenge")
    tokenizer = Tokenizer.from_pretrained("montezuma_revenge")
    model.imaginer.uses_autocast = tokenizer.uses_autocast = False
    heldout = EpisodeDataset("montezuma_revenge", split="heldout")
    settings = ExportSettings(starts=1, check_starts=1, check_steps=2)
    export_dream(model, tokenizer, heldout, tmp_path, settings)
    frames = load_example("onnx_dream").dream(str(tmp_path), "RIGHT", 12)
    about = json.loads((tmp_path / "dream.json").read_text())
    start = about["starts"][0]
    right = [action["name"] for action in about["actions"]].index("RIGHT")
    rollout = model.imagine(
        torch.tensor([start["tokens"]]), torch.tensor([start["actions"]]),
        torch.full((1, 12), right), top_k=1,
    )  # fmt: skip
    expected = tokenizer.decode(rollout.tokens[0]).numpy().astype(int)
    assert frames.shape == (12, 64, 64, 3) and frames.dtype == np.uint8
    assert np.abs(frames - expected).max() <= 1


def test_it_is_about_30_lines(load_example):
    import inspect

    assert len(inspect.getsource(load_example("onnx_dream").dream).splitlines()) <= 32
