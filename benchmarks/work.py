"""A row of benchmarks/speed.py before it is measured: our call, and IRIS's work beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from timing import matmul_flops, rate
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class PeerWork:
    """The same work of IRIS: its name in iris_peer.py, and the batch."""

    work: str
    batch: int


@dataclass(frozen=True)
class Measured:
    """Frames per second, and floating point operations per frame where they were counted."""

    rate: float
    flops: float | None


@dataclass
class Work:
    """One row to measure.

    Attributes:
        name: Of the row.
        call: Does the work once, in the precision that our code chooses.
        frames: Frames of one call.
        device: Where it runs.
        dtype: Precision of its matrix products.
        peer: IRIS's work to compare with, if there is one.
    """

    name: str
    call: Callable[[], Any]
    frames: int
    device: str
    dtype: torch.dtype
    peer: PeerWork | None = None

    def measure(self, seconds: float) -> Measured:
        """Counts the operations of one call, then times calls for about `seconds`."""
        counter = FlopCounterMode(display=False)
        with counter:
            self.call()
        flops = counter.get_total_flops() / self.frames
        return Measured(rate(self.call, self.frames, seconds), flops or None)

    def limit(self) -> float:
        """Returns the FLOP/s of a large matrix product in this precision on this device."""
        return matmul_flops(self.device, self.dtype)
