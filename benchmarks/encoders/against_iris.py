"""Compares CPU times of a tokenizer's encoder and of IRIS's, in one process and in turns.

    OMP_NUM_THREADS=1 python benchmarks/encoders/against_iris.py --iris ../iris --tokenizer \
        montezuma_revenge_vqgan --data data/MontezumaRevenge

Prints frames per CPU second of both in each round, and the ratio of their sums. CPU time does not
count while other processes have the core, and both run in the same minutes, so the ratio holds on a
machine that is shared. Frames are held-out ones of the dataset; IRIS's network is that of its
default config, built from its own classes; its speed does not depend on its weights.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer

sys.path.insert(0, str(Path(__file__).parents[1]))
from iris_peer import build_tokenizer, import_iris  # type: ignore[import-not-found]


def cpu_seconds(call: Callable[[], object]) -> float:
    """Returns the CPU time of a call, over all threads of this process."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Times both in turns and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--iris", type=Path, required=True, help="a clone of IRIS")
    parser.add_argument("--tokenizer", default="montezuma_revenge_vqgan")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of IRIS")
    options = parser.parse_args()
    iris: Any = build_tokenizer(import_iris(options.iris)).eval()
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    dataset = EpisodeDataset(options.data, "heldout")
    rows = np.linspace(0, dataset.num_frames - 1, options.batch * (options.rounds + 1)).astype(int)
    sums = np.zeros(2)
    # The first round warms both up.
    for number, chunk in enumerate(np.split(rows, options.rounds + 1)):
        frames = dataset.gather_frames(chunk)
        scaled = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
        low = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")
        with torch.no_grad(), low:
            seconds = np.array(
                [
                    cpu_seconds(lambda frames=frames: tokenizer.encode(frames)),
                    cpu_seconds(lambda scaled=scaled: iris.encode(scaled, should_preprocess=True)),
                ]
            )
        if number:
            sums += seconds
            mine, its = options.batch / seconds
            print(f"round {number}: {mine:,.0f} frames per CPU second, IRIS {its:,.1f}", flush=True)
    mine, its = options.batch * options.rounds / sums
    print(f"{mine:,.0f} frames per CPU second, IRIS {its:,.1f}: ratio {sums[1] / sums[0]:.1f}")


if __name__ == "__main__":
    main()
