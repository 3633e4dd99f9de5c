"""Dreams with numpy and onnxruntime alone: no PyTorch, and nothing of this project.

    worldtokens export-world-model-onnx env=MontezumaRevenge out=dream
    python examples/onnx_dream.py dream RIGHT 60 dream.npy

Writes uint8 frames (steps, height, width, 3). Use it as a start for other languages, too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def dream(folder: str, action: str, steps: int, temperature: float = 0.0) -> np.ndarray:
    """Dreams on from the first start under one action; returns uint8 (steps, H, W, 3)."""
    about = json.loads((Path(folder) / "dream.json").read_text())
    load = lambda name: onnxruntime.InferenceSession(Path(folder) / name)  # noqa: E731
    graph, decode = (load(about["graphs"][name]["float32"]["file"]) for name in ("step", "decode"))
    start, state = about["starts"][0], about["state"]
    rng = np.random.default_rng(0)
    inputs = {
        "temperature": np.array(temperature, np.float32),  # 0: the likeliest
        "past": np.zeros(state["past"], np.int64),
        "cache": np.zeros(state["cache"], np.float32),
        "frames": np.zeros(state["frames"], np.int64),  # 0: a dream begins
    }
    number = [each["name"] for each in about["actions"]].index(action)
    known, actions = start["tokens"], start["actions"] + [number] * steps
    used = [value.name for value in graph.get_inputs()]
    frames, out = [], {}
    for t, taken in enumerate(actions):
        tokens = np.array([known[t]]) if t < len(known) else out["next_tokens"]
        noise = rng.random((1, about["noise"]["size"]), np.float32)
        inputs |= {"tokens": tokens, "action": np.array([taken]), "noise": noise}
        results = graph.run(about["outputs"], {name: inputs[name] for name in used})
        out = dict(zip(about["outputs"], results, strict=True))
        inputs |= {name: out[f"next_{name}"] for name in ("past", "cache", "frames")}
        if t >= len(known) - 1:
            frames += decode.run(None, {"tokens": out["next_tokens"]})
    return np.concatenate(frames)


if __name__ == "__main__":
    folder, action, steps, path = sys.argv[1:]
    np.save(path, dream(folder, action, int(steps)))
