"""The accelerator that both training scripts build: device, precision and process group."""

from collections.abc import Callable

import torch
from accelerate import Accelerator, PartialState

PRECISIONS = ("auto", "no", "bf16", "fp16")


def make_accelerator(
    mixed_precision: str,
    native_dtype: Callable[[torch.device], torch.dtype | None],
    cpu: bool = False,
) -> Accelerator:
    """Builds the accelerator; `auto` is bf16 where the device computes bf16 natively.

    Args:
        mixed_precision: One of PRECISIONS.
        native_dtype: Says what the device multiplies faster than float32, if anything; the rule is
            the model's, which also runs without an accelerator.
        cpu: Stay on the CPU although there is another device.

    Raises:
        ValueError: An unknown precision.
    """
    if mixed_precision not in PRECISIONS:
        raise ValueError(f"mixed_precision: expected one of {PRECISIONS}, got {mixed_precision!r}")
    if mixed_precision == "auto":
        device = PartialState(cpu=cpu).device
        assert isinstance(device, torch.device)
        is_native = native_dtype(device) is torch.bfloat16
        mixed_precision = "bf16" if is_native else "no"
    return Accelerator(mixed_precision=mixed_precision, cpu=cpu)
