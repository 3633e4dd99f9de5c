"""Prints how much faster a trained autoregressive world model dreams where it guesses.

    python benchmarks/guessing_speed.py --world-model runs/MontezumaRevenge/iris \
        --tokenizer runs/MontezumaRevenge/patches_16 --data data/MontezumaRevenge
    python benchmarks/guessing_speed.py ... --iris ../iris

How many guesses are right depends on what the model dreams, so fresh weights cannot tell. Greedy
dreams, tokens only, go on from held-out starts under the actions that were really taken, each
start first token by token, then with guesses. With --iris, IRIS's own transformer imagines as many
tokens before and after, in float32 as it ships and under bf16; that says something beside a model
of its sizes only.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from speed import IrisPeer
from torch import Tensor

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.open_loop import roll_out


@dataclass(frozen=True)
class Compared:
    """What dreams with and without guesses have in common, and what they cost.

    Attributes:
        plain: Frames per second, token by token.
        guessed: With guesses.
        same: Share of the tokens that are the same in both.
        stayed: Share of the dreams' tokens that are those of the frame before.
        right: Share of the dreams' tokens that are the true ones.
        repeated: The same share if the last known frame is repeated.
    """

    plain: float
    guessed: float
    same: float
    stayed: float
    right: float
    repeated: float


def compare(
    model: WorldModel, starts: Sequence[tuple[TokenEpisode, int]], context: int, horizon: int
) -> Compared:
    """Dreams from each start by itself, both ways in turn.

    Raises:
        ValueError: The model predicts all tokens of a frame at once.
    """
    if model.config.prediction != "autoregressive":
        raise ValueError("--world-model: expected prediction=autoregressive; others need no guess")
    spent, dreams = {False: 0.0, True: 0.0}, {False: [], True: []}
    for number, start in enumerate([starts[0], *starts]):
        for guesses in (False, True):
            model.guesses_tokens = guesses
            began = time.perf_counter()
            found = roll_out(model, [start], context, horizon, top_k=1)
            if number:  # The first start warms up.
                spent[guesses] += time.perf_counter() - began
                dreams[guesses].append(found)
    frames = len(starts) * horizon
    plain, guessed = (
        torch.cat([found.rollout.tokens for found in dreams[way]]) for way in (False, True)
    )
    truth = torch.cat([found.truth.tokens for found in dreams[False]])
    known, true = truth[:, context - 1 : context], truth[:, context:]
    before = torch.cat((known, plain[:, :-1]), dim=1)
    return Compared(
        plain=frames / spent[False],
        guessed=frames / spent[True],
        same=share(plain == guessed),
        stayed=share(plain == before),
        right=share(plain == true),
        repeated=share(known == true),
    )


def share(right: Tensor) -> float:
    """Of a bool tensor's values, how many are True."""
    return float(right.double().mean())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Autoregressive dreams with and without guesses.")
    parser.add_argument("--world-model", required=True, help="a run, an export or a name")
    parser.add_argument("--tokenizer", required=True, help="that the world model was trained on")
    parser.add_argument("--data", required=True, help="the dataset; dreams start in its held-out")
    parser.add_argument("--starts", type=int, default=16)
    parser.add_argument("--context", type=int, default=4)
    parser.add_argument("--horizon", type=int, default=40)
    parser.add_argument("--iris", type=Path, help="a local clone of IRIS to measure as well")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each figure of IRIS")
    options = parser.parse_args()
    model = WorldModel.from_pretrained(options.world_model)
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    model.check_tokenizer(tokenizer.fingerprint)
    dataset = EpisodeDataset(options.data, "heldout")
    tokens = load_tokens(dataset, tokenizer)
    rng = np.random.default_rng(0)
    starts = tokens.starts(options.starts, options.context, options.horizon, rng)
    iris = IrisPeer(options.iris, "cpu", options.seconds) if options.iris else None
    rates = [iris.rate("imagine_tokens", 1, "fp32")] if iris else []
    found = compare(model, starts, options.context, options.horizon)
    rates += [iris.rate("imagine_tokens", 1, "bf16")] if iris else []
    print(f"token by token        {found.plain:8.1f} frames/s")
    print(f"with guesses          {found.guessed:8.1f} frames/s")
    print(f"the same tokens       {found.same:8.2%}")
    print(f"stay in the dreams    {found.stayed:8.2%}")
    print(f"right                 {found.right:8.2%}")
    print(f"right by repeating    {found.repeated:8.2%}")
    for name, rate in zip(("fp32", "bf16"), rates, strict=False):
        print(
            f"IRIS {name}             {rate:8.1f} frames/s: "
            f"{found.plain / rate:.1f} x and {found.guessed / rate:.1f} x"
        )


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
