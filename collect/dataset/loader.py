"""Segments for training, read ahead from disk by worker processes.

torch's DataLoader passes every batch in new shared memory, whose pages the system must allocate
first: for frames that decompress at a gigabyte a second this halves the speed of a worker. Here
workers fill a few buffers that are shared from the start.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch import multiprocessing

from worldtokens.collect.dataset.segments import SegmentBatch
from worldtokens.collect.dataset.source import EpisodeSource
from worldtokens.common.checks import check_at_least
from worldtokens.common.interrupts import start_uninterrupted

_BUFFERS_PER_WORKER = 3


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


def load_segments(
    source: EpisodeSource, batch: int, length: int, seed: int, num_workers: int
) -> Iterator[TensorBatch]:
    """Yields batches without end that worker processes read ahead.

    The same seed and number of workers give the same batches in the same order: the workers take
    turns, and worker w draws from the generator of (seed, w).

    Args:
        source: A dataset on disk; one in memory needs no workers.
        batch: Segments B.
        length: Frames L of each.
        seed: Seeds the draws.
        num_workers: Processes that read; 0 reads in this one.

    Raises:
        ValueError: `batch` or `length` is below 1, `num_workers` is below 0, or a shard is damaged.
        OSError: A shard cannot be read, or a worker died.
    """
    check_at_least(0, num_workers=num_workers)
    rng = np.random.default_rng([seed, 0])
    first = _to_tensors(source.sample_segments(batch, length, rng))
    if num_workers == 0:
        while True:
            yield first
            first = _to_tensors(source.sample_segments(batch, length, rng))
    workers = [_Reader(source, first, [seed, worker]) for worker in range(num_workers)]
    try:
        while True:
            for worker in workers:
                yield worker.next_batch()
    finally:
        for worker in workers:
            worker.stop()


class _Reader:
    """A process that reads batches, and the buffers that it fills."""

    def __init__(self, source: EpisodeSource, like: TensorBatch, seed: list[int]) -> None:
        self._buffers = [
            TensorBatch(
                **{
                    field.name: torch.empty_like(getattr(like, field.name)).share_memory_()
                    for field in fields(like)
                }
            )
            for _ in range(_BUFFERS_PER_WORKER)
        ]
        # A fork would copy threads' locks in whatever state they are.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_read, args=(source, self._buffers, seed, theirs), daemon=True
        )
        start_uninterrupted(self._process)
        theirs.close()
        for index in range(_BUFFERS_PER_WORKER):
            self._connection.send(index)

    def next_batch(self) -> TensorBatch:
        """Returns a copy of the next batch; its buffer is filled again."""
        try:
            index = self._connection.recv()
        except (EOFError, OSError):
            raise ChildProcessError(
                "a process that reads segments died; run the same command again"
            ) from None
        if isinstance(index, Exception):
            raise index
        buffer = self._buffers[index]
        batch = TensorBatch(
            **{field.name: getattr(buffer, field.name).clone() for field in fields(buffer)}
        )
        with suppress(OSError):
            self._connection.send(index)
        return batch

    def stop(self) -> None:
        """Lets the process end."""
        self._connection.close()
        self._process.join()


def _read(
    source: EpisodeSource, buffers: list[TensorBatch], seed: list[int], connection: Connection
) -> None:
    """Fills the buffers whose numbers arrive, until the other side closes."""
    torch.set_num_threads(1)
    batch, length = buffers[0].mask.shape
    rng = np.random.default_rng(seed)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            index = connection.recv()
            try:
                segments = _to_tensors(source.sample_segments(batch, length, rng))
            except (ValueError, OSError) as error:
                connection.send(error)
                return
            for field in fields(segments):
                getattr(buffers[index], field.name).copy_(getattr(segments, field.name))
            connection.send(index)


def _to_tensors(batch: SegmentBatch) -> TensorBatch:
    return TensorBatch(
        **{field.name: torch.from_numpy(getattr(batch, field.name)) for field in fields(batch)}
    )
