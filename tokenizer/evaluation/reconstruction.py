"""Evaluation of a tokenizer on frames that it was not trained on."""

import math
from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.data.backgrounds import is_close
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation import metrics


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        reconstructions: uint8 (n, height, width, 3), of HeldoutFrames.frames.
        psnr_per_frame: float64 (n,), dB.
        ssim: Mean over frames; NaN if it was not computed.
        recall: Foreground pixels, and reproduced ones, per scene.
        flicker: Share of tokens that change although their patch does not; NaN if the next frames
            are not known.
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

    def metrics(self) -> dict[str, float]:
        """Returns the single numbers by name, without those that are NaN."""
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
    """Compares held-out frames with their reconstructions.

    Args:
        tokenizer: The tokenizer to evaluate.
        heldout: The frames to evaluate on.
        with_ssim: Whether to compute SSIM, which takes longer than all other metrics.
    """
    tokens = tokenizer.encode(heldout.frames)
    decoded = tokenizer.decode(tokens).cpu().numpy()
    true = heldout.frames
    return Evaluation(
        reconstructions=decoded,
        psnr_per_frame=metrics.psnr_per_frame(true, decoded),
        ssim=float(metrics.ssim_per_frame(true, decoded).mean()) if with_ssim else math.nan,
        recall=metrics.foreground_recall(true, decoded, heldout.foreground, heldout.scenes),
        flicker=_flicker(tokenizer, heldout, tokens.cpu().numpy()),
        code_use=metrics.CodeUse.of(tokens.cpu().numpy(), tokenizer.vocab_size),
    )


def _flicker(tokenizer: Tokenizer, heldout: HeldoutFrames, tokens: np.ndarray) -> float:
    if heldout.next_frames is None:
        return math.nan
    next_tokens = tokenizer.encode(heldout.next_frames).cpu().numpy()
    before, after = (_padded(tokenizer, x) for x in (heldout.frames, heldout.next_frames))
    return metrics.flicker(before, after, tokens, next_tokens, tokenizer.levels)


def _padded(tokenizer: Tokenizer, frames: np.ndarray) -> np.ndarray:
    """Pads frames (n, height, width, 3) to whole patches, as for the network."""
    height, width = tokenizer.config.padded_shape
    margins = ((0, 0), (0, height - frames.shape[1]), (0, width - frames.shape[2]), (0, 0))
    return np.pad(frames, margins, mode="edge") if np.any(margins) else frames


def one_per_scene(heldout: HeldoutFrames, count: int) -> np.ndarray:
    """Chooses `count` frames for a picture, by their indices: rare scenes first, then round-robin.

    Of each scene the frames with most foreground come first, since they show most.
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


def worst_frames(heldout: HeldoutFrames, evaluation: Evaluation, count: int) -> np.ndarray:
    """Finds the `count` frames that lose most foreground pixels; their indices, the worst first."""
    lost = heldout.foreground & ~is_close(heldout.frames, evaluation.reconstructions)
    # Frames that lose equally many are sorted by PSNR.
    order = np.lexsort((evaluation.psnr_per_frame, -lost.sum(axis=(1, 2))))
    return order[:count]
