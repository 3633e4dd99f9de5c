"""How often the graphs, under onnxruntime, give the tokens that `imagine` gives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worldtokens.world_model.data.segments import TokenEpisode, stack_windows
from worldtokens.world_model.export.frame_step import INPUTS, OUTPUTS, FrameStep
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel


class GraphDreams:
    """A batch of dreams in a step graph.

    Attributes:
        outputs: Of the last step, by name.
    """

    def __init__(self, path: Path, step: FrameStep, batch: int):
        """Loads the graph.

        Args:
            path: Of the graph.
            step: What it was made of.
            batch: What it was made for.
        """
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._used = {value.name for value in self._session.get_inputs()}
        examples = (value.numpy() for value in step.example_inputs(batch))
        self._inputs = dict(zip(INPUTS, examples, strict=True))
        self.outputs: dict[str, np.ndarray] = {}

    def step(
        self,
        tokens: np.ndarray,
        action: np.ndarray,
        noise: np.ndarray | None = None,
        temperature: float = 0.0,
    ) -> dict[str, np.ndarray]:
        """Reads frames int64 (B, K) and actions int64 (B,), and returns the graph's outputs."""
        inputs = {**self._inputs, "tokens": tokens, "action": action}
        inputs["temperature"] = np.array(temperature, np.float32)
        if noise is not None:
            inputs["noise"] = noise
        used = {name: value for name, value in inputs.items() if name in self._used}
        results = self._session.run(list(OUTPUTS), used)
        self.outputs = dict(zip(OUTPUTS, map(np.asarray, results), strict=True))
        for name in ("past", "cache", "frames"):
            self._inputs[name] = self.outputs[f"next_{name}"]
        return self.outputs


def compare_with_imagine(
    model: WorldModel,
    path: Path,
    batch: int,
    starts: Sequence[tuple[TokenEpisode, int]],
    context: int,
    steps: int,
) -> float:
    """Returns the share of tokens of greedy dreams that are those of `imagine` in float32.

    Args:
        model: Whose step the graph holds, on the CPU.
        path: The graph.
        batch: What it was made for.
        starts: Episodes and the first frames of the contexts.
        context: Known frames.
        steps: Steps of each dream, under the actions that were really taken.
    """
    episodes, firsts = [episode for episode, _ in starts], [first for _, first in starts]
    windows = stack_windows(episodes, firsts, context + steps)
    tokens, actions = windows.tokens, windows.actions
    before = model.imaginer.uses_autocast
    model.imaginer.uses_autocast = False
    try:
        rollout = model.imaginer.imagine(
            tokens[:, :context], actions[:, : context - 1], actions[:, context - 1 :],
            Sampling(top_k=1),
        )  # fmt: skip
    finally:
        model.imaginer.uses_autocast = before
    expected = rollout.tokens.numpy()
    step = FrameStep(model.network)
    rows = -(-len(starts) // batch) * batch
    # The last batch is filled up with the first starts.
    order = np.resize(np.arange(len(starts)), rows)
    equal = []
    for first in range(0, rows, batch):
        here = order[first : first + batch]
        dreams = GraphDreams(path, step, batch)
        known, taken = tokens[here].numpy(), actions[here].numpy()
        current = known[:, 0]
        for t in range(context + steps - 1):
            current = known[:, t] if t < context else current
            current = dreams.step(current, taken[:, t])["next_tokens"]
            if t >= context - 1:
                equal.append(current == expected[here, t - context + 1])
    return float(np.mean(equal))
