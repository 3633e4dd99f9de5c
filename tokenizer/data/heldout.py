"""Held-out frames, on which a tokenizer is evaluated."""

from dataclasses import dataclass

import numpy as np

from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.tokenizer.data.frames import FrameSource

# Metrics of all runs are of the same held-out frames.
HELDOUT_SEED = 0


@dataclass(frozen=True)
class HeldoutFrames:
    """Pairs of consecutive frames from held-out episodes.

    Attributes:
        frames: uint8 (n, height, width, 3).
        next_frames: The frame after each, of that shape; None where there is none.
        scenes: int64 (n,), the scene of each of `frames`.
        foreground: bool (n, height, width), the foreground of `frames`.
    """

    frames: np.ndarray
    next_frames: np.ndarray | None
    scenes: np.ndarray
    foreground: np.ndarray


def load_heldout(
    source: FrameSource, backgrounds: SceneBackgrounds | None, count: int
) -> HeldoutFrames:
    """Draws frames that have a next frame, evenly over all episodes, and marks their foreground.

    Where no frame has a next one, it draws any frames.

    Args:
        source: The held-out episodes.
        backgrounds: See fit_backgrounds; None for frames without foreground.
        count: Number of frames, at most as many as the source has.
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
        next_frames=source.gather_frames(indices + 1) if len(with_next) else None,
        scenes=scenes,
        foreground=foreground,
    )
