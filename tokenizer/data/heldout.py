"""Held-out frames, by which a tokenizer is evaluated."""

from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.tokenizer.data.frames import EpisodicSource

# The held-out frames of a figure are the same in every run.
HELDOUT_SEED = 0


@dataclass(frozen=True)
class HeldoutFrames:
    """Pairs of consecutive frames from held-out episodes.

    Attributes:
        frames: uint8 (n, height, width, 3).
        following: The frame after each, of that shape; None where there is none.
        scenes: int64 (n,), the scene of each of `frames`.
        foreground: bool (n, height, width), the foreground of `frames`.
    """

    frames: np.ndarray
    following: np.ndarray | None
    scenes: np.ndarray
    foreground: np.ndarray


def load_heldout(
    source: EpisodicSource, backgrounds: SceneBackgrounds | None, count: int
) -> HeldoutFrames:
    """Draws frames that have a next one, evenly over all episodes, and marks their foreground.

    Where no frame has a next one, any are drawn.

    Args:
        source: The held-out episodes.
        backgrounds: See fit_backgrounds; None where nothing is foreground.
        count: Number of frames; fewer where the source has fewer.
    """
    last = source.frame_starts[1:] - 1
    with_next = np.setdiff1d(np.arange(source.num_frames), last)
    candidates = with_next if len(with_next) else np.arange(source.num_frames)
    rng = np.random.default_rng(HELDOUT_SEED)
    indices = np.sort(rng.choice(candidates, size=min(count, len(candidates)), replace=False))
    frames, scenes = source.gather_frames(indices), source.scene[indices]
    foreground = np.zeros(frames.shape[:3], bool)
    if backgrounds is not None:
        foreground = backgrounds.foreground(frames, scenes)
    return HeldoutFrames(
        frames=frames,
        following=source.gather_frames(indices + 1) if len(with_next) else None,
        scenes=scenes,
        foreground=foreground,
    )
