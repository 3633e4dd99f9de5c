"""Judges a tokenizer on frames that it was not trained on."""

import math
from dataclasses import dataclass

import numpy as np

from tokenizer import metrics
from tokenizer.autoencoder import Tokenizer


@dataclass(frozen=True)
class HeldoutFrames:
    """Pairs of consecutive frames from held-out episodes.

    Attributes:
        frames: uint8 (n, height, width, 3).
        following: The frame after each, of that shape.
        scenes: int64 (n,), the scene of each of `frames`.
        foreground: bool (n, height, width), the foreground of `frames`.
    """

    frames: np.ndarray
    following: np.ndarray
    scenes: np.ndarray
    foreground: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        reconstructions: uint8 (n, height, width, 3), of HeldoutFrames.frames.
        psnr: Mean over frames, dB.
        ssim: Mean over frames; NaN where it was not asked for.
        recall: Foreground pixels, and those reproduced, per scene.
        flicker: Share of tokens that change where their patch does not; NaN if every patch changed.
        code_use: Counts of the codes.
    """

    reconstructions: np.ndarray
    psnr: float
    ssim: float
    recall: metrics.Recall
    flicker: float
    code_use: metrics.CodeUse

    def figures(self) -> dict[str, float]:
        """The single figures by name; those that are NaN are left out."""
        named = {
            "psnr": self.psnr,
            "ssim": self.ssim,
            "foreground_recall": self.recall.overall,
            "flicker": self.flicker,
            "perplexity": self.code_use.perplexity,
            "codes_used": self.code_use.share_used,
        }
        return {name: value for name, value in named.items() if not math.isnan(value)}


def evaluate(tokenizer: Tokenizer, heldout: HeldoutFrames, with_ssim: bool = True) -> Evaluation:
    """Encodes and decodes held-out frames and compares.

    Args:
        tokenizer: The tokenizer to judge.
        heldout: The frames to judge by.
        with_ssim: Whether to compute SSIM, which takes longer than all the rest.
    """
    tokens = tokenizer.encode(heldout.frames)
    made = tokenizer.decode(tokens).cpu().numpy()
    tokens_after = tokenizer.encode(heldout.following)
    true = heldout.frames
    return Evaluation(
        reconstructions=made,
        psnr=float(metrics.psnr_per_frame(true, made).mean()),
        ssim=float(metrics.ssim_per_frame(true, made).mean()) if with_ssim else math.nan,
        recall=metrics.foreground_recall(true, made, heldout.foreground, heldout.scenes),
        flicker=metrics.flicker(
            true,
            heldout.following,
            tokens.cpu().numpy(),
            tokens_after.cpu().numpy(),
            tokenizer.levels,
        ),
        code_use=metrics.CodeUse.of(tokens.cpu().numpy(), tokenizer.vocab_size),
    )


def one_per_scene(heldout: HeldoutFrames, count: int) -> np.ndarray:
    """Indices of `count` frames for a picture, rare scenes first and then round-robin.

    Of each scene the frames with most foreground come first, since they tell most.
    """
    amount = heldout.foreground.sum(axis=(1, 2))
    scenes, sizes = np.unique(heldout.scenes, return_counts=True)
    queues = []
    for scene in scenes[np.argsort(sizes, kind="stable")]:
        (where,) = np.nonzero(heldout.scenes == scene)
        queues.append(list(where[np.argsort(-amount[where], kind="stable")]))
    chosen: list[int] = []
    while len(chosen) < min(count, len(heldout.frames)):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return np.array(chosen, dtype=np.int64)
