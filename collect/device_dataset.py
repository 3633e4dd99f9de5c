"""A dataset whose frames are tensors on a device."""

from dataclasses import fields

import numpy as np
import torch

from collect.loader import TensorBatch
from collect.source import EpisodeSource


class DeviceDataset:
    """A dataset whose frames and steps are tensors on a device: 12 kB a frame.

    Attributes:
        frames: uint8 (num_frames, H, W, 3).
    """

    def __init__(self, source: EpisodeSource, device: torch.device | str) -> None:
        """Copy a dataset, one episode at a time.

        Args:
            source: any dataset.
            device: where the tensors go, for example "cuda".
        """
        self.source = source
        self.device = torch.device(device)
        shape = (source.num_frames, *source.frame_shape)
        self.frames = torch.empty(shape, dtype=torch.uint8, device=self.device)
        starts = source.frame_starts.tolist()
        for start, stop in zip(starts[:-1], starts[1:], strict=True):
            self.frames[start:stop] = torch.from_numpy(source.read_frames(start, stop))
        steps = source.steps
        self._steps = {
            field.name: torch.from_numpy(getattr(steps, field.name)).to(self.device)
            for field in fields(steps)
        }
        # For each frame, the frame after its episode's last.
        ends = np.repeat(source.frame_starts[1:], np.diff(source.frame_starts))
        self._ends = torch.from_numpy(ends).to(self.device)
        self._starts = torch.from_numpy(np.flatnonzero(steps.action_mask)).to(self.device)

    def sample_frames(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw frames uniformly, uint8 (count, H, W, 3).

        Args:
            count: how many.
            generator: of this device.
        """
        return self.frames[self._draw(len(self.frames), count, generator)]

    def sample_segments(self, batch: int, length: int, generator: torch.Generator) -> TensorBatch:
        """Draw segments as `EpisodeSource.sample_segments` does."""
        starts = self._starts[self._draw(len(self._starts), batch, generator)]
        return self.segments_at(starts, length)

    def segments_at(self, starts: torch.Tensor, length: int) -> TensorBatch:
        """Return the segments that start at frames int64 (B,); see `EpisodeSource`."""
        rows = starts[:, None] + torch.arange(length, device=self.device)
        mask = rows < self._ends[starts][:, None]
        rows = torch.where(mask, rows, starts[:, None])
        action_mask = mask & self._steps["action_mask"][rows]
        names = ("actions", "rewards", "terminated", "truncated")
        return TensorBatch(
            frames=self.frames[rows] * mask[..., None, None, None],
            **{name: self._steps[name][rows] * action_mask for name in names},
            mask=mask,
            action_mask=action_mask,
        )

    def _draw(self, limit: int, count: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randint(limit, (count,), generator=generator, device=self.device)
