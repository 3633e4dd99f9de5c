"""Prints how fast the default tokenizer decodes with decoders of several widths.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/decoder_speed.py --widths 256 128 64
    python benchmarks/decoder_speed.py

Weights are fresh and tokens random: the speed depends on neither. The quality of each width is in
the table of `python benchmarks/tokenizer_table.py --designs benchmarks/designs/decoder.yaml`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timing import rate

from worldtokens import Tokenizer, TokenizerConfig
from worldtokens.common.checks import check_at_least, check_positive
from worldtokens.common.devices import choose_device


@dataclass(frozen=True)
class Row:
    """One decoder.

    Attributes:
        width: Its channels at the resolution of the tokens.
        weights: Number of the tokenizer's weights.
        rate: Decoded frames per second.
    """

    width: int
    weights: int
    rate: float


def measure(width: int, frames: int, seconds: float, device: str) -> Row:
    """Decodes batches of `frames` frames for about `seconds`."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(TokenizerConfig(decoder_width=width)).to(device).eval()
    shape = (frames, tokenizer.tokens_per_frame)
    tokens = torch.randint(tokenizer.vocab_size, shape, device=device)
    weights = sum(parameter.numel() for parameter in tokenizer.parameters())
    return Row(width, weights, rate(lambda: tokenizer.decode(tokens), frames, seconds))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 128, 64])
    parser.add_argument("--frames", type=int, default=64, help="decoded at once")
    parser.add_argument("--seconds", type=float, default=4.0, help="about what each width takes")
    parser.add_argument("--device", default=choose_device().type)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints a row per width."""
    options = parse(sys.argv[1:])
    check_at_least(1, **{"--frames": options.frames})
    check_positive(**{"--seconds": options.seconds})
    print("| decoder | weights | decoded frames/s |\n|---|---:|---:|")
    for width in options.widths:
        row = measure(width, options.frames, options.seconds, options.device)
        print(f"| {row.width} wide | {row.weights:,} | {row.rate:,.0f} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
