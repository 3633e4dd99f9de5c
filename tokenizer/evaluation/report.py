"""Everything that is measured of a trained tokenizer."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from worldtokens.collect import EpisodeSource
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
class Judged:
    """A tokenizer and what was found.

    Attributes:
        tokenizer: In eval mode.
        found: The figures that need no other weights.
        encode_speed: Frames per second.
        lpips: Mean LPIPS, or why there is none.
        fid: rFID, or why there is none.
        probes: None where they were not asked for.
    """

    tokenizer: Tokenizer
    found: Evaluation
    encode_speed: float
    lpips: float | str
    fid: float | str
    probes: ProbeScores | None


def judge(
    tokenizer: Tokenizer,
    heldout: HeldoutFrames,
    probe_frames: tuple[ProbeFrames, ProbeFrames] | None,
    perceptual_weights: str | None,
    inception_weights: str | None,
) -> Judged:
    """All figures of one tokenizer.

    Args:
        tokenizer: It is moved to the GPU if there is one.
        heldout: The frames to judge by.
        probe_frames: To train probes on and to test them on; None for no probes.
        perceptual_weights: See load_perceptual.
        inception_weights: See find_inception.
    """
    tokenizer.to("cuda" if torch.cuda.is_available() else "cpu")
    found = evaluate(tokenizer, heldout)
    started = time.perf_counter()
    tokenizer.encode(heldout.frames)
    speed = len(heldout.frames) / (time.perf_counter() - started)
    return Judged(
        tokenizer=tokenizer,
        found=found,
        encode_speed=speed,
        lpips=mean_lpips(heldout.frames, found.reconstructions, perceptual_weights),
        fid=fid(heldout.frames, found.reconstructions, inception_weights),
        probes=score_probes(tokenizer, *probe_frames) if probe_frames else None,
    )


def mean_lpips(true: np.ndarray, made: np.ndarray, weights: str | None) -> float | str:
    """Mean LPIPS over frames uint8 (n, height, width, 3), or a word on why there is none."""
    try:
        perceptual = load_perceptual(weights, download=False)
    except ValueError:
        if weights is not None:
            raise
        return MISSING
    distances = []
    for start in range(0, len(true), LPIPS_CHUNK):
        pair = (made[start : start + LPIPS_CHUNK], true[start : start + LPIPS_CHUNK])
        first, second = (
            torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1 for frames in pair
        )
        with torch.no_grad():
            distances.append(perceptual(first, second))
    return float(torch.cat(distances).mean())


def fid(true: np.ndarray, made: np.ndarray, weights: str | None) -> float | str:
    """RFID of frames uint8 (n, height, width, 3), or a word on why there is none."""
    path = find_inception(weights)
    if weights is None and not path.exists():
        return MISSING
    return reconstruction_fid(true, made, path)


def load_probe_frames(sources: Sources, count: int, data: str) -> tuple[ProbeFrames, ProbeFrames]:
    """Frames at even distances with the labelled bytes of their RAM.

    Args:
        sources: Episodes.
        count: Training frames at most; a fifth as many to test on.
        data: Named in the error.

    Raises:
        ValueError: The frames have no RAM.
    """
    frames = []
    for source, most in ((sources.train, count), (sources.heldout, max(1, count // 5))):
        if not isinstance(source, EpisodeSource):
            raise ValueError(f"probe_frames: data={data} are images, without RAM; use 0")
        indices = source.choose_frames(most)
        ram = source.read("ram", 0, source.num_frames)[indices]
        labels = {name: ram[:, byte] for name, byte in ram_labels(source.game).items()}
        frames.append(ProbeFrames(source.gather_frames(indices), labels))
    return frames[0], frames[1]
