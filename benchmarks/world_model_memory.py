"""What an imagined frame costs late in a dream: time and memory at frame 1,000 against frame 50.

    python benchmarks/world_model_memory.py
    python benchmarks/world_model_memory.py --batch 64 --frames 2000

Dreams on without end, tokens only, and prints for stretches of the dream the median time of a
frame, the memory that the dream's state takes and the highest memory that the process, or the GPU,
has taken so far. In memory that slides all three stay as they are once the context is full.
Stretches are compared in turn with a second dream that always stays at frame 50, so that a
machine whose speed drifts does not spoil the ratio.
"""

import argparse
import copy
import json
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from world_model_speed import Design, make_config, make_tokenizer

from worldtokens.training.command_line import compose
from worldtokens.world_model import Sampling, WorldModel
from worldtokens.world_model.networks.predictions import DreamMemory
from worldtokens.world_model.train import TrainConfig

EARLY = 50
STRETCH = 50


@dataclass(frozen=True)
class Stretch:
    """A stretch of a dream.

    Attributes:
        model: The preset.
        frame: Its last frame.
        milliseconds: Median time of one of its frames.
        ratio: To the median time of the other dream's frames near frame 50, taken in turn.
        state_bytes: What the dream's state takes.
        peak_bytes: Most that the process or the GPU has taken so far.
    """

    model: str
    frame: int
    milliseconds: float
    ratio: float
    state_bytes: int
    peak_bytes: int


class Dream:
    """A dream that goes on frame by frame."""

    def __init__(self, model: WorldModel, batch: int):
        """Begins from random tokens."""
        made, device = model.config, model.device
        self._model = model
        self.memory = model.new_memory(batch)
        shape = (batch, made.tokens_per_frame)
        self._tokens: Tensor = torch.randint(made.vocab_size, shape, device=device)
        self._actions = torch.randint(made.num_actions, (batch,), device=device)

    def step(self) -> float:
        """Imagines a frame; returns how many seconds it took."""
        _synchronize()
        started = time.perf_counter()
        frame = self._model.next_frame(
            self._tokens, self._actions, self.memory, Sampling(), measure=False
        )
        _synchronize()
        self._tokens = frame.tokens
        return time.perf_counter() - started

    def fork(self) -> "Dream":
        """A dream with a state of its own that goes on from here."""
        other = copy.copy(self)
        other.memory = copy.copy(self.memory)
        other.memory.rings = copy.deepcopy(self.memory.rings)
        return other


def state_bytes(memory: DreamMemory) -> int:
    """Bytes of all tensors that a dream keeps from frame to frame."""
    return memory.nbytes() + sum(t.numel() * t.element_size() for t in memory.tokens)


def measure(name: str, model: WorldModel, batch: int, frames: int) -> list[Stretch]:
    """Dreams `frames` frames and measures every stretch of them beside frames near the 50th."""
    dream = Dream(model, batch)
    for _ in range(EARLY - STRETCH // 2):
        dream.step()
    early = dream.fork()
    found = []
    durations: list[float] = []
    compared: list[float] = []
    other = early.fork()
    for frame in range(EARLY - STRETCH // 2 + 1, frames + 1):
        durations.append(dream.step())
        compared.append(other.step())
        if frame % STRETCH == 0:
            late = statistics.median(durations)
            found.append(
                Stretch(
                    name, frame, 1000 * late, late / statistics.median(compared),
                    state_bytes(dream.memory), peak_bytes(model.device),
                )
            )  # fmt: skip
            durations, compared, other = [], [], early.fork()
    return found


def peak_bytes(device: torch.device) -> int:
    """Most memory so far: of the GPU's tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def print_table(rows: list[Stretch]) -> None:
    """Prints the stretches as a Markdown table."""
    print("| model | frame | ms per frame | to frame 50, in turn | state, MiB | peak, MiB |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.model} | {row.frame} | {row.milliseconds:.2f} | {row.ratio:.3f} | "
            f"{row.state_bytes / 2**20:.2f} | {row.peak_bytes / 2**20:.0f} |"
        )


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Measures the presets and prints them."""
    parser = argparse.ArgumentParser(description="What an imagined frame costs late in a dream.")
    parser.add_argument("--presets", nargs="+", default=["default", "autoregressive"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    rows: list[Stretch] = []
    for preset in options.presets:
        overrides = ["env=MontezumaRevenge", f"world_model_preset={preset}"]
        config = compose(TrainConfig, "world_model", overrides)
        tokenizer = make_tokenizer(Design("", (), (), (), False), options.device)
        model = WorldModel(make_config(config, tokenizer)).to(options.device).eval()
        rows += measure(preset, model, options.batch, options.frames)
    shown = {STRETCH, 200, 500, options.frames // STRETCH * STRETCH}
    print_table([row for row in rows if row.frame in shown])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
