"""Judges a tokenizer on frames that it was not trained on."""

import math
from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation import metrics


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        reconstructions: uint8 (n, height, width, 3), of HeldoutFrames.frames.
        psnr_per_frame: float64 (n,), dB.
        ssim: Mean over frames; NaN where it was not asked for.
        recall: Foreground pixels, and those reproduced, per scene.
        flicker: Share of tokens that change where their patch does not; NaN where that is not
            known.
        code_use: Counts of the codes.
    """

    reconstructions: np.ndarray
    psnr_per_frame: np.ndarray
    ssim: float
    recall: metrics.Recall
    flicker: float
    code_use: metrics.CodeUse

    @property
    def psnr(self) -> float:
        """Mean over frames, dB."""
        return float(self.psnr_per_frame.mean())

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
    true = heldout.frames
    return Evaluation(
        reconstructions=made,
        psnr_per_frame=metrics.psnr_per_frame(true, made),
        ssim=float(metrics.ssim_per_frame(true, made).mean()) if with_ssim else math.nan,
        recall=metrics.foreground_recall(true, made, heldout.foreground, heldout.scenes),
        flicker=_flicker(tokenizer, heldout, tokens.cpu().numpy()),
        code_use=metrics.CodeUse.of(tokens.cpu().numpy(), tokenizer.vocab_size),
    )


def _flicker(tokenizer: Tokenizer, heldout: HeldoutFrames, tokens: np.ndarray) -> float:
    if heldout.following is None:
        return math.nan
    after = tokenizer.encode(heldout.following).cpu().numpy()
    before, following = (_padded(tokenizer, x) for x in (heldout.frames, heldout.following))
    return metrics.flicker(before, following, tokens, after, tokenizer.levels)


def _padded(tokenizer: Tokenizer, frames: np.ndarray) -> np.ndarray:
    """Frames (n, height, width, 3) of whole patches, as the network sees them."""
    height, width = tokenizer.config.padded_shape
    margins = ((0, 0), (0, height - frames.shape[1]), (0, width - frames.shape[2]), (0, 0))
    return np.pad(frames, margins, mode="edge") if np.any(margins) else frames


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


def worst_frames(heldout: HeldoutFrames, found: Evaluation, count: int) -> np.ndarray:
    """Indices of the `count` frames that lose most foreground pixels, the worst first."""
    lost = heldout.foreground & ~metrics.is_close(heldout.frames, found.reconstructions)
    # Among frames that lose as much, those of the lower PSNR.
    order = np.lexsort((found.psnr_per_frame, -lost.sum(axis=(1, 2))))
    return order[:count]
