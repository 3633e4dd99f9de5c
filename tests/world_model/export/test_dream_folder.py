import json

import numpy as np
import onnxruntime
import pytest

from worldtokens.world_model.export import dream_folder
from worldtokens.world_model.export.dream_folder import ExportSettings, export_dream

SETTINGS = ExportSettings(starts=3, context=3, check_starts=2, check_steps=6)


@pytest.fixture
def exported(loaded, tmp_path):
    folder = tmp_path / "dream"
    steps = export_dream(loaded.model, loaded.tokenizer, loaded.heldout, folder, SETTINGS)
    return folder, steps


def test_a_folder_holds_what_a_program_needs(exported, loaded):
    folder, steps = exported
    tree = json.loads((folder / "dream.json").read_text())
    assert steps["float32"].agreement == 1.0 and 0.5 < steps["int8"].agreement <= 1.0
    assert sorted(path.name for path in folder.iterdir()) == [
        "decode.onnx", "dream.json", "encode.onnx", "step.int8.onnx", "step.onnx",
    ]  # fmt: skip
    assert tree["graphs"]["step"]["float32"]["sha256"] == steps["float32"].sha256
    assert tree["fingerprints"] == {
        "world_model": loaded.model.fingerprint, "tokenizer": loaded.tokenizer.fingerprint,
    }  # fmt: skip
    assert tree["grid"] == [2, 4] and tree["frame_shape"] == [16, 32, 3]
    assert [action["name"] for action in tree["actions"]] == ["NOOP", "RIGHT", "LEFT"]
    assert tree["actions"][1]["buttons"] == ["RIGHT"] and tree["steps_per_second"] == 15
    assert tree["state"]["cache"] == [2, 1, 1, 3, 2, 4, 16] and tree["noise"]["size"] == 11
    assert len(tree["starts"]) == 2 and np.shape(tree["starts"][0]["tokens"]) == (3, 8)


def test_encode_and_decode_are_the_tokenizer(exported, loaded):
    folder, _ = exported
    frames = loaded.heldout.read_frames(0, 2)
    encode, decode = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encode", "decode")
    )
    (tokens,) = encode.run(None, {"frames": frames})
    assert np.array_equal(tokens, loaded.tokenizer.encode(frames).numpy())
    (decoded,) = decode.run(None, {"tokens": tokens})
    expected = loaded.tokenizer.decode(tokens).numpy().astype(int)
    assert np.abs(decoded - expected).max() <= 1


def test_nothing_is_written_where_the_graph_disagrees(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(dream_folder, "compare_with_imagine", lambda *_: 0.5)
    folder = tmp_path / "dream"
    with pytest.raises(ValueError, match="expected the tokens of `imagine` .* got 50.0% of them"):
        export_dream(loaded.model, loaded.tokenizer, loaded.heldout, folder, SETTINGS)
    assert list(folder.iterdir()) == []


def test_parts_of_different_runs_are_refused(loaded, new_tokenizer, tmp_path):
    with pytest.raises(ValueError, match="this world model was trained on the tokens of tokenizer"):
        export_dream(loaded.model, new_tokenizer(1), loaded.heldout, tmp_path / "x", SETTINGS)
    assert not (tmp_path / "x").exists()
