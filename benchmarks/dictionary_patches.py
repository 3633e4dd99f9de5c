r"""Prints what a tokenizer's dictionary of patches says without a decoder, beside the decoder.

    python benchmarks/dictionary_patches.py --tokenizer montezuma_revenge \
        --data data/MontezumaRevenge --every 10
    python benchmarks/dictionary_patches.py --data pretrained/montezuma_revenge/starts

The tokens of held-out frames are decoded twice: by the patches that they stand for, put side by
side, and by the decoder, which adds what the patches lack.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from worldtokens import EpisodeDataset, Tokenizer
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.tokenizer.evaluation.metrics import psnr_per_frame


@dataclass(frozen=True)
class Quality:
    """Mean PSNR per frame, in dB.

    Attributes:
        patches: Of the dictionary's patches alone.
        decoder: Of the decoded frames.
        frames: Number of frames.
    """

    patches: float
    decoder: float
    frames: int


def measure(tokenizer: Tokenizer, frames: np.ndarray) -> Quality:
    """Compares both decodings with frames uint8 (n, height, width, 3)."""
    bare = without_decoder(tokenizer)
    tokens = tokenizer.encode(frames)
    patches, decoded = bare.decode(tokens).cpu().numpy(), tokenizer.decode(tokens).cpu().numpy()
    return Quality(
        patches=float(psnr_per_frame(frames, patches).mean()),
        decoder=float(psnr_per_frame(frames, decoded).mean()),
        frames=len(frames),
    )


def without_decoder(tokenizer: Tokenizer) -> Tokenizer:
    """Returns a copy whose decoder adds nothing to the patches.

    Raises:
        ValueError: The tokenizer's codes are no patches.
    """
    if tokenizer.config.network != "dictionary":
        raise ValueError(
            f"--tokenizer: expected network=dictionary, got {tokenizer.config.network}; the codes "
            "of others are no patches"
        )
    bare = copy.deepcopy(tokenizer)
    last = bare.network.last_layer
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    return bare


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokenizer", default="montezuma_revenge", help="a run or a name")
    parser.add_argument("--data", required=True, help="a dataset with held-out episodes")
    parser.add_argument("--every", type=int, default=10, help="take one of so many frames")
    parser.add_argument("--device", default=choose_device().type)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints."""
    options = parse(sys.argv[1:])
    check_at_least(1, **{"--every": options.every})
    tokenizer = Tokenizer.from_pretrained(options.tokenizer).to(options.device)
    dataset = EpisodeDataset(options.data, "heldout")
    frames = dataset.gather_frames(np.arange(0, dataset.num_frames, options.every))
    quality = measure(tokenizer, frames)
    print(f"held-out frames  {quality.frames:8,}")
    print(f"patches alone    {quality.patches:8.2f} dB")
    print(f"decoder          {quality.decoder:8.2f} dB")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
