"""Prints how fast trained weights dream and decode from held-out starts.

    python benchmarks/shipped_dream_speed.py --data data/MontezumaRevenge
    python benchmarks/shipped_dream_speed.py --data pretrained/montezuma_revenge/starts --batches 1

How many tokens change from frame to frame decides how fast the default model dreams, and only
trained weights tell. Dreams follow the actions that were really taken, greedily and drawn, and
every frame is decoded before the next one is imagined, as in a dream that is played.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from timing import synchronize
from torch import Tensor

from worldtokens import EpisodeDataset, Tokenizer, WorldModel
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.world_model.data.segments import TokenDataset, TokenSegments, stack_windows
from worldtokens.world_model.data.token_cache import load_tokens


@dataclass(frozen=True)
class Row:
    """Dreams of one kind.

    Attributes:
        batch: Dreams at once.
        top_k: Draws among so many tokens; 1 is greedy, None draws among all.
        rate: Imagined and decoded frames per second, the median over the batches.
        changing: Share of the tokens that differ from the frame before.
    """

    batch: int
    top_k: int | None
    rate: float
    changing: float


class WatchedActions:
    """A policy that decodes every frame it sees, then takes the next recorded action."""

    def __init__(self, tokenizer: Tokenizer, actions: Tensor):
        """Takes recorded actions, int64 (B, H); the clock starts with the first call."""
        self._tokenizer, self._actions = tokenizer, actions
        self._step = 0
        self.started = 0.0

    def __call__(self, tokens: Tensor) -> Tensor:
        """Returns the actions int64 (B,) for the frames of tokens int64 (B, K)."""
        if self._step == 0:
            synchronize()
            self.started = time.perf_counter()
        self._tokenizer.decode(tokens)
        self._step += 1
        return self._actions[:, self._step - 1]


def measure(
    model: WorldModel,
    tokenizer: Tokenizer,
    batches: Sequence[TokenSegments],
    context: int,
    top_k: int | None,
) -> Row:
    """Dreams on from each batch of windows; the first one also warms up."""
    rates, changes = [], []
    horizon = batches[0].tokens.shape[1] - context
    for number, windows in enumerate([batches[0], *batches]):
        windows = windows.to(model.device)
        known = windows.tokens[:, :context]
        policy = WatchedActions(tokenizer, windows.actions[:, context - 1 :])
        rollout = model.imagine(
            known, windows.actions[:, : context - 1], policy, top_k=top_k, horizon=horizon
        )
        synchronize()
        seconds = time.perf_counter() - policy.started
        if number:
            rates.append(len(known) * horizon / seconds)
            frames = rollout.tokens
            changes.append(float((frames[:, 1:] != frames[:, :-1]).double().mean()))
    rate, changing = statistics.median(rates), statistics.mean(changes)
    return Row(len(batches[0].tokens), top_k, rate, changing)


def draw_windows(
    tokens: TokenDataset, batch: int, repeats: int, context: int, horizon: int
) -> list[TokenSegments]:
    """Draws `repeats` batches of different windows, each of context + horizon frames.

    Raises:
        ValueError: There are not so many windows.
    """
    starts = tokens.starts(batch * repeats, context, horizon, np.random.default_rng(0))
    if len(starts) < batch * repeats:
        raise ValueError(
            f"--batches: expected at most {len(starts) // repeats} for {repeats} repeats on this "
            f"dataset, got {batch}; lower --repeats or --horizon, or give a larger dataset"
        )
    # Neighbouring windows are alike: each batch takes some from all over the dataset.
    groups = [starts[first::repeats] for first in range(repeats)]
    return [
        stack_windows([e for e, _ in group], [t for _, t in group], context + horizon)
        for group in groups
    ]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--world-model", default="montezuma_revenge", help="a run or a name")
    parser.add_argument("--tokenizer", default="montezuma_revenge", help="a run or a name")
    parser.add_argument("--data", required=True, help="a dataset with held-out episodes")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="dreams at once")
    parser.add_argument("--repeats", type=int, default=4, help="measurements; the median counts")
    parser.add_argument("--context", type=int, default=4, help="known frames before a dream")
    parser.add_argument("--horizon", type=int, default=50, help="frames of a dream")
    parser.add_argument("--device", default=choose_device().type)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints a row per batch and way of drawing."""
    options = parse(sys.argv[1:])
    check_at_least(1, **{"--repeats": options.repeats, "--context": options.context})
    check_at_least(2, **{"--horizon": options.horizon})
    for batch in options.batches:
        check_at_least(1, **{"--batches": batch})
    model = WorldModel.from_pretrained(options.world_model).to(options.device).eval()
    tokenizer = Tokenizer.from_pretrained(options.tokenizer).to(options.device)
    model.check_tokenizer(tokenizer.fingerprint)
    tokens = load_tokens(EpisodeDataset(options.data, "heldout"), tokenizer)
    print("| dreams | tokens | frames/s | changing tokens |\n|---|---|---:|---:|")
    for batch in options.batches:
        lengths = options.context, options.horizon
        windows = draw_windows(tokens, batch, options.repeats, *lengths)
        for name, top_k in (("greedy", 1), ("drawn", None)):
            row = measure(model, tokenizer, windows, options.context, top_k)
            print(f"| {batch} | {name} | {row.rate:,.0f} | {row.changing:.1%} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
