"""Segments: windows of consecutive frames that training takes from episodes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StepArrays:
    """All steps of a dataset, one row per frame; the row of an episode's last frame is 0 or False.

    Attributes:
        actions: int64 (N,).
        rewards: float32 (N,).
        terminated: bool (N,).
        truncated: bool (N,).
        action_mask: bool (N,), False on each episode's last frame.
    """

    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    action_mask: np.ndarray


@dataclass(frozen=True)
class SegmentBatch:
    """B windows of L consecutive frames, padded with zeros after the end of their episode.

    Attributes:
        frames: uint8 (B, L, H, W, 3).
        actions: int64 (B, L); actions[b, t] leads from frame t to frame t + 1.
        rewards: float32 (B, L), of the same transitions.
        terminated: bool (B, L), of the same transitions.
        truncated: bool (B, L), of the same transitions.
        mask: bool (B, L), True where the frame is real.
        action_mask: bool (B, L), True where the action, reward and ends are real: the last frame
            of an episode is real and has none.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    mask: np.ndarray
    action_mask: np.ndarray

    def __repr__(self) -> str:
        """Says in one line what the batch is; its arrays would fill a screen."""
        count, length, height, width = self.frames.shape[:4]
        return f"SegmentBatch({count} segments of {length} frames, {height}x{width})"


def cut_segments(
    starts: np.ndarray,
    length: int,
    *,
    frame_starts: np.ndarray,
    steps: StepArrays,
    frame_shape: tuple[int, int, int],
    read_frames: Callable[[int, int], np.ndarray],
) -> SegmentBatch:
    """Cuts segments out of a dataset.

    Args:
        starts: int64 (B,), global index of each segment's first frame.
        length: Frames L of each.
        frame_starts: int64 (episodes + 1,), global index of each episode's first frame, and the
            number of frames.
        steps: Of the whole dataset.
        frame_shape: (H, W, 3).
        read_frames: Returns frames [start, stop) by global index, uint8 (stop - start, H, W, 3).
    """
    episode = np.searchsorted(frame_starts, starts, side="right") - 1
    lengths = np.minimum(frame_starts[episode + 1] - starts, length)
    offsets = np.arange(length)
    mask = offsets[None, :] < lengths[:, None]
    rows = np.where(mask, starts[:, None] + offsets, 0)
    action_mask = mask & steps.action_mask[rows]
    frames = np.zeros((len(starts), length, *frame_shape), np.uint8)
    for row, (start, count) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        frames[row, :count] = read_frames(start, start + count)
    return SegmentBatch(
        frames=frames,
        actions=np.where(action_mask, steps.actions[rows], 0),
        rewards=np.where(action_mask, steps.rewards[rows], np.float32(0)),
        terminated=action_mask & steps.terminated[rows],
        truncated=action_mask & steps.truncated[rows],
        mask=mask,
        action_mask=action_mask,
    )
