"""The notebook runs from top to bottom, and shows something where it says so."""

import ast
import json
from pathlib import Path
from typing import Any

import av
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "quickstart.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]


def run_cells(names: dict[str, Any]) -> list[Any]:
    """Runs the code cells as a notebook does; returns the value of each cell's last line."""
    shown = []
    for number, cell in enumerate(CELLS):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            expression = compile(ast.Expression(last.value), f"cell {number}", "eval")
            shown.append(eval(expression, names))
    return shown


def test_it_is_stored_without_outputs():
    assert NOTEBOOK.stat().st_size < 300_000
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = run_cells(names)
    clips = [value for value in shown if type(value).__name__ == "Clip"]
    assert len(clips) == 3
    for clip in clips:
        assert clip._repr_html_().startswith("<video")
    assert repr(names["rollout"]).startswith("Rollout(1 dream x 60 frames of 64 tokens, ")
    # The dream goes through the door with the player; the last known frame does not.
    true = torch.from_numpy(names["episode"].frames)
    dream, copied = names["dream"][0].float(), true[3].float()
    assert (dream[-1] - true[63].float()).abs().mean() < 4
    assert (copied - true[63].float()).abs().mean() > 40
    with av.open(str(tmp_path / "dream.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 60
