import hashlib
import json

from worldtokens.world_model.export.description import (
    DESCRIPTION,
    Graph,
    write_description,
)


def test_a_graph_is_described_by_its_file(tmp_path):
    path = tmp_path / "step.onnx"
    path.write_bytes(b"graph")
    assert Graph.of(path, 0.5) == Graph("step.onnx", 5, hashlib.sha256(b"graph").hexdigest(), 0.5)


def test_it_is_json(tmp_path):
    path = write_description(tmp_path, {"version": 1, "game": "Pong"})
    assert path == tmp_path / DESCRIPTION
    assert json.loads(path.read_text()) == {"version": 1, "game": "Pong"}
