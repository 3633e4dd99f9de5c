r"""Prints how much faster a trained autoregressive world model dreams by speculative decoding.

    python benchmarks/speculative_speed.py --world-model runs/MontezumaRevenge/iris \
        --tokenizer runs/MontezumaRevenge/patches_16 --data data/MontezumaRevenge
    python benchmarks/speculative_speed.py ... --iris ../iris

How many draft tokens are accepted depends on what the model dreams, so fresh weights cannot tell.
Greedy dreams, tokens only, go on from held-out starts under the actions that were really taken;
each start is dreamt twice, first token by token, then by speculative decoding. With --iris, IRIS's
own transformer imagines as many tokens before and after, in float32 as it ships and under bf16;
the comparison is fair only to a model of its sizes.
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

from worldtokens import EpisodeDataset, Sampling, Tokenizer, WorldModel
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.open_loop import OpenLoop, roll_out


@dataclass(frozen=True)
class Comparison:
    """Dreams with and without speculative decoding: what they share and what they cost.

    Attributes:
        plain_rate: Frames per second, token by token.
        speculative_rate: Frames per second by speculative decoding.
        equal: Share of the tokens that are the same in both.
        unchanged: Share of the dreams' tokens that are those of the frame before.
        accuracy: Share of the dreams' tokens that are the true ones.
        copy_accuracy: The same share if the last known frame is repeated.
    """

    plain_rate: float
    speculative_rate: float
    equal: float
    unchanged: float
    accuracy: float
    copy_accuracy: float


def compare(
    model: WorldModel, starts: Sequence[tuple[TokenEpisode, int]], context: int, horizon: int
) -> Comparison:
    """Dreams from each start by itself, both ways in turn.

    Raises:
        ValueError: The model predicts all tokens of a frame at once.
    """
    if model.config.prediction != "autoregressive":
        raise ValueError(
            f"--world-model: expected prediction=autoregressive, got {model.config.prediction}; "
            "speculative decoding is for models that draw token after token"
        )
    seconds: dict[bool, float] = {False: 0.0, True: 0.0}
    dreams: dict[bool, list[OpenLoop]] = {False: [], True: []}
    for number, start in enumerate([starts[0], *starts]):
        for speculative in (False, True):
            model.imaginer.speculative = speculative
            began = time.perf_counter()
            dream = roll_out(model, [start], context, horizon, sampling=Sampling(top_k=1))
            if number:  # The first start warms up.
                seconds[speculative] += time.perf_counter() - began
                dreams[speculative].append(dream)
    frames = len(starts) * horizon
    plain, speculated = (
        torch.cat([dream.rollout.tokens for dream in dreams[way]]) for way in (False, True)
    )
    truth = torch.cat([dream.truth.tokens for dream in dreams[False]])
    last_known, true = truth[:, context - 1 : context], truth[:, context:]
    before = torch.cat((last_known, plain[:, :-1]), dim=1)
    return Comparison(
        plain_rate=frames / seconds[False],
        speculative_rate=frames / seconds[True],
        equal=share(plain == speculated),
        unchanged=share(plain == before),
        accuracy=share(plain == true),
        copy_accuracy=share(last_known == true),
    )


def share(values: Tensor) -> float:
    """Returns the share of True in a bool tensor of any shape."""
    return float(values.double().mean())


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--world-model", required=True, help="a run, an export or a name")
    parser.add_argument("--tokenizer", required=True, help="that the world model was trained on")
    parser.add_argument("--data", required=True, help="a dataset with held-out episodes")
    parser.add_argument("--starts", type=int, default=16, help="number of dreams")
    parser.add_argument("--context", type=int, default=4, help="known frames before a dream")
    parser.add_argument("--horizon", type=int, default=40, help="frames of a dream")
    parser.add_argument("--iris", type=Path, help="a local clone of IRIS to measure as well")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each rate of IRIS")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints."""
    options = parse(sys.argv[1:])
    model = WorldModel.from_pretrained(options.world_model)
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    model.check_tokenizer(tokenizer.fingerprint)
    tokens = load_tokens(EpisodeDataset(options.data, "heldout"), tokenizer)
    rng = np.random.default_rng(0)
    starts = tokens.starts(options.starts, options.context, options.horizon, rng)
    iris = IrisPeer(options.iris, "cpu", options.seconds) if options.iris else None
    rates = [iris.rate("imagine_tokens", 1, "fp32")] if iris else []
    measured = compare(model, starts, options.context, options.horizon)
    rates += [iris.rate("imagine_tokens", 1, "bf16")] if iris else []
    print(f"token by token         {measured.plain_rate:8.1f} frames/s")
    print(f"speculative            {measured.speculative_rate:8.1f} frames/s")
    print(f"the same tokens        {measured.equal:8.2%}")
    print(f"unchanged tokens       {measured.unchanged:8.2%}")
    print(f"accuracy               {measured.accuracy:8.2%}")
    print(f"accuracy of copying    {measured.copy_accuracy:8.2%}")
    for name, rate in zip(("fp32", "bf16"), rates, strict=False):
        print(
            f"IRIS {name}              {rate:8.1f} frames/s: "
            f"{measured.plain_rate / rate:.1f} x and {measured.speculative_rate / rate:.1f} x"
        )


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
