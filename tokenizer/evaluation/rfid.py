"""rFID: the distance of true and reconstructed frames in the features of Inception."""

import pickle
from pathlib import Path

import numpy as np
import torch

NAME = "weights-inception-2015-12-05-6726825d.pth"
CHUNK = 64


def find_inception(weights: str | None) -> Path:
    """Returns the path of Inception's weights, which need not exist.

    Args:
        weights: Their path; None for that of the package torch-fidelity, below TORCH_HOME.
    """
    return Path(weights) if weights else Path(torch.hub.get_dir()) / "checkpoints" / NAME


def reconstruction_fid(true: np.ndarray, reconstructions: np.ndarray, weights: Path) -> float:
    """Computes the Frechet Inception distance (Heusel et al. 2017, arXiv 1706.08500), at least 0.

    Args:
        true: uint8 (n, height, width, 3).
        reconstructions: Their reconstructions.
        weights: Path of Inception's weights.

    Raises:
        ValueError: The weights cannot be read.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # Needs torch-fidelity.

    try:
        distance = FrechetInceptionDistance(feature_extractor_weights_path=str(weights))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ImportError) as error:
        raise ValueError(f"rFID: {weights} cannot be read ({error})") from error
    for frames, is_real in ((true, True), (reconstructions, False)):
        for start in range(0, len(frames), CHUNK):
            chunk = torch.from_numpy(frames[start : start + CHUNK]).permute(0, 3, 1, 2)
            distance.update(chunk, real=is_real)
    return float(distance.compute())
