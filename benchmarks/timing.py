"""How every benchmark times: a warm-up, then the median over calls within a span of seconds."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def rate(call: Callable[[], Any], units: int, seconds: float, least: int = 3) -> float:
    """Times a call that handles `units` of something; returns units per second.

    Args:
        call: The work; called twice before the clock runs.
        units: Frames, steps or operations of one call.
        seconds: About how long to measure.
        least: Smallest number of timed calls, however long they take.

    Returns:
        `units` over the median duration of a call.
    """
    for _ in range(2):
        call()
    durations: list[float] = []
    while len(durations) < least or sum(durations) < seconds:
        synchronize()
        started = time.perf_counter()
        call()
        synchronize()
        durations.append(time.perf_counter() - started)
    return units / statistics.median(durations)


def matmul_flops(device: str, dtype: torch.dtype, size: int = 2048, seconds: float = 2.0) -> float:
    """Returns the FLOP/s of a large square matrix product, the limit of what a network reaches."""
    left = torch.randn(size, size, device=device, dtype=dtype)
    right = torch.randn(size, size, device=device, dtype=dtype)
    return rate(lambda: left @ right, 2 * size**3, seconds)


def synchronize() -> None:
    """Waits until the GPU, if there is one, has finished what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()
