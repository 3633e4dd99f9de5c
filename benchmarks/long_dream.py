"""Prints what an imagined frame costs late in a dream: time and memory, frame 1,000 beside 50.

    python benchmarks/long_dream.py
    python benchmarks/long_dream.py --batch 64 --frames 2000

Dreams without end, tokens only, and prints for stretches of the dream the median time of a frame,
the size of the dream's state, and the most memory that the process, or the GPU, has taken so far.
With a KV cache that slides, all three stay as they are once the context is full. Each stretch is
timed in turn with a second dream that always stays near frame 50, so that a machine whose speed
drifts does not change the ratio.
"""

import argparse
import copy
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from timing import synchronize
from torch import Tensor
from world_model_speed import Design, make_config, make_tokenizer

from worldtokens import Sampling, WorldModel
from worldtokens.common.atomic import write_text
from worldtokens.common.devices import choose_device
from worldtokens.training.command_line import compose
from worldtokens.world_model.imagination.state import ImaginationState
from worldtokens.world_model.training.config import TrainConfig

EARLY = 50
STRETCH = 50


@dataclass(frozen=True)
class Stretch:
    """A stretch of a dream.

    Attributes:
        model: The preset.
        frame: Its last frame.
        milliseconds: Median time of one of its frames.
        ratio: To the median time of the second dream's frames near frame 50, taken in turn.
        state_bytes: Size of the dream's state.
        peak_bytes: Most memory that the process or the GPU has taken so far.
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
        config, device = model.config, model.device
        self._model = model
        self.state = model.imaginer.new_state(batch)
        shape = (batch, config.tokens_per_frame)
        self._tokens: Tensor = torch.randint(config.vocab_size, shape, device=device)
        self._actions = torch.randint(config.num_actions, (batch,), device=device)

    def step(self) -> float:
        """Imagines a frame; returns how many seconds it took."""
        synchronize()
        started = time.perf_counter()
        frame = self._model.imaginer.next_frame(
            self._tokens, self._actions, self.state, Sampling(), with_entropy=False
        )
        synchronize()
        self._tokens = frame.tokens
        return time.perf_counter() - started

    def fork(self) -> "Dream":
        """Returns a dream with a state of its own that goes on from here."""
        other = copy.copy(self)
        other.state = copy.copy(self.state)
        other.state.cache = copy.deepcopy(self.state.cache)
        return other


def state_bytes(state: ImaginationState) -> int:
    """Returns the bytes of all tensors that a dream keeps from frame to frame."""
    cached = [t for layer in state.cache.layers for t in (layer.keys, layer.values)]
    return sum(tensor.nbytes for tensor in (*cached, *state.past_frames))


def measure(name: str, model: WorldModel, batch: int, frames: int) -> list[Stretch]:
    """Dreams `frames` frames and measures every stretch of them beside frames near the 50th."""
    dream = Dream(model, batch)
    for _ in range(EARLY - STRETCH // 2):
        dream.step()
    early = dream.fork()
    stretches = []
    late_seconds: list[float] = []
    early_seconds: list[float] = []
    other = early.fork()
    for frame in range(EARLY - STRETCH // 2 + 1, frames + 1):
        late_seconds.append(dream.step())
        early_seconds.append(other.step())
        if frame % STRETCH == 0:
            late = statistics.median(late_seconds)
            stretches.append(
                Stretch(
                    name,
                    frame,
                    1000 * late,
                    late / statistics.median(early_seconds),
                    state_bytes(dream.state),
                    peak_bytes(model.device),
                )
            )
            late_seconds, early_seconds, other = [], [], early.fork()
    return stretches


def peak_bytes(device: torch.device) -> int:
    """Returns the most memory so far: of the GPU's tensors, otherwise of the process."""
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


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--presets", nargs="+", default=["default", "autoregressive"])
    parser.add_argument("--batch", type=int, default=1, help="dreams at once")
    parser.add_argument("--frames", type=int, default=1000, help="length of the dream")
    parser.add_argument("--device", default=choose_device().type)
    parser.add_argument("--json", type=Path, help="also write all stretches here")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures the presets and prints them."""
    options = parse(sys.argv[1:])
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
        write_text(options.json, json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
