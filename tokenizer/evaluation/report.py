"""The full report on a trained tokenizer: all metrics, speed and probes."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from worldtokens.collect import EpisodeSource
from worldtokens.common.devices import choose_device
from worldtokens.envs import ram_labels
from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.data.sources import Sources
from worldtokens.tokenizer.evaluation.probes import ProbeFrames, ProbeScores, score_probes
from worldtokens.tokenizer.evaluation.reconstruction import Evaluation, evaluate
from worldtokens.tokenizer.evaluation.rfid import find_inception, reconstruction_fid
from worldtokens.tokenizer.losses.lpips_loss import load_perceptual

LPIPS_CHUNK = 64
MISSING = "weights missing"


@dataclass(frozen=True)
class EvalReport:
    """A tokenizer and its metrics.

    Attributes:
        tokenizer: The tokenizer, in eval mode.
        evaluation: The metrics that need no other weights.
        encode_speed: Frames per second.
        lpips: Mean LPIPS, or the reason why there is none.
        fid: rFID, or the reason why there is none.
        probes: Scores of the probes; None without probes.
    """

    tokenizer: Tokenizer
    evaluation: Evaluation
    encode_speed: float
    lpips: float | str
    fid: float | str
    probes: ProbeScores | None


def evaluate_tokenizer(
    tokenizer: Tokenizer,
    heldout: HeldoutFrames,
    probe_frames: tuple[ProbeFrames, ProbeFrames] | None,
    perceptual_weights: str | None,
    inception_weights: str | None,
) -> EvalReport:
    """Computes all metrics of one tokenizer.

    Args:
        tokenizer: The tokenizer; it is moved to the fastest device.
        heldout: The frames to evaluate on.
        probe_frames: Frames to train probes on, and to test them on; None for no probes.
        perceptual_weights: See load_perceptual.
        inception_weights: See find_inception.
    """
    tokenizer.to(choose_device())
    evaluation = evaluate(tokenizer, heldout)
    started = time.perf_counter()
    tokenizer.encode(heldout.frames)
    speed = len(heldout.frames) / (time.perf_counter() - started)
    return EvalReport(
        tokenizer=tokenizer,
        evaluation=evaluation,
        encode_speed=speed,
        lpips=mean_lpips(heldout.frames, evaluation.reconstructions, perceptual_weights),
        fid=fid(heldout.frames, evaluation.reconstructions, inception_weights),
        probes=score_probes(tokenizer, *probe_frames) if probe_frames else None,
    )


def mean_lpips(true: np.ndarray, reconstructions: np.ndarray, weights: str | None) -> float | str:
    """Computes the mean LPIPS over frames uint8 (n, height, width, 3), or says why not."""
    try:
        lpips = load_perceptual(weights, download=False)
    except ValueError:
        if weights is not None:
            raise
        return MISSING
    distances = []
    for start in range(0, len(true), LPIPS_CHUNK):
        pair = (reconstructions[start : start + LPIPS_CHUNK], true[start : start + LPIPS_CHUNK])
        first, second = (
            torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1 for frames in pair
        )
        with torch.no_grad():
            distances.append(lpips(first, second))
    return float(torch.cat(distances).mean())


def fid(true: np.ndarray, reconstructions: np.ndarray, weights: str | None) -> float | str:
    """Computes rFID over frames uint8 (n, height, width, 3), or says why not."""
    path = find_inception(weights)
    if weights is None and not path.exists():
        return MISSING
    return reconstruction_fid(true, reconstructions, path)


def load_probe_frames(sources: Sources, count: int, data: str) -> tuple[ProbeFrames, ProbeFrames]:
    """Reads evenly spaced frames with the labelled bytes of their RAM.

    Args:
        sources: Both splits of a dataset of episodes.
        count: Most training frames; a fifth as many to test on.
        data: The dataset in the error.

    Returns:
        Training frames and test frames.

    Raises:
        ValueError: The frames have no RAM.
    """
    frames = []
    for source, most in ((sources.train, count), (sources.heldout, max(1, count // 5))):
        if not isinstance(source, EpisodeSource):
            raise ValueError(
                f"probe_frames: expected 0 for images, which have no RAM, got {count} with "
                f"data={data}"
            )
        indices = source.choose_frames(most)
        ram = source.read("ram", 0, source.num_frames)[indices]
        labels = {name: ram[:, byte] for name, byte in ram_labels(source.game).items()}
        frames.append(ProbeFrames(source.gather_frames(indices), labels))
    return frames[0], frames[1]
