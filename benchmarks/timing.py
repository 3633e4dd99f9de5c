"""How every benchmark times: a warm-up, then the median over calls within a span of seconds."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def rate(call: Callable[[], Any], units: int, seconds: float, least: int = 3) -> float:
    """Units per second of `call`, which handles `units` of them.

    Args:
        call: The work; called twice before the clock runs.
        units: Frames, steps or operations that one call handles.
        seconds: About how long to measure.
        least: Fewest calls that count, however long they take.

    Returns:
        `units` over the median duration of a call.
    """
    for _ in range(2):
        call()
    durations: list[float] = []
    while len(durations) < least or sum(durations) < seconds:
        _synchronize()
        started = time.perf_counter()
        call()
        _synchronize()
        durations.append(time.perf_counter() - started)
    return units / statistics.median(durations)


def matmul_flops(device: str, dtype: torch.dtype, size: int = 2048, seconds: float = 2.0) -> float:
    """FLOP/s of a large square matrix product: the limit that a network's share is taken of."""
    left = torch.randn(size, size, device=device, dtype=dtype)
    right = torch.randn(size, size, device=device, dtype=dtype)
    return rate(lambda: left @ right, 2 * size**3, seconds)


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
