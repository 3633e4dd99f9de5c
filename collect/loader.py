"""Segments for training: read ahead from disk by worker processes, or from tensors on a device."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from collect.episode import SegmentBatch
from collect.source import EpisodeSource


@dataclass(frozen=True)
class TensorBatch:
    """The fields of `SegmentBatch` as tensors of the same types and shapes."""

    frames: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    mask: torch.Tensor
    action_mask: torch.Tensor


class _Stream(IterableDataset[dict[str, torch.Tensor]]):
    """Endless batches; worker w draws from the generator of (seed, w)."""

    def __init__(self, source: EpisodeSource, batch: int, length: int, seed: int) -> None:
        self._source = source
        self._batch = batch
        self._length = length
        self._seed = seed

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            yield _to_tensors(self._source.sample_segments(self._batch, self._length, rng))


def load_segments(
    source: EpisodeSource, batch: int, length: int, seed: int, num_workers: int
) -> Iterator[TensorBatch]:
    """Yield batches without end that worker processes read ahead.

    The same seed and number of workers give the same batches in the same order.

    Args:
        source: a dataset on disk; one in memory needs no workers.
        batch: segments B.
        length: frames L of each.
        seed: seeds the draws.
        num_workers: processes that read; 0 reads in this one.
    """
    # A fork would copy threads' locks in whatever state they are.
    loader = DataLoader(
        _Stream(source, batch, length, seed),
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=4 if num_workers else None,
        multiprocessing_context="spawn" if num_workers else None,
    )
    for tensors in loader:
        yield TensorBatch(**tensors)


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


def _to_tensors(batch: SegmentBatch) -> dict[str, torch.Tensor]:
    return {field.name: torch.from_numpy(getattr(batch, field.name)) for field in fields(batch)}
