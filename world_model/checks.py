"""Checks of what users pass in; each error names the argument, what came and what was expected."""

from typing import Any

import torch
from torch import Tensor


def check_integers(
    name: str, value: Any, shape: tuple[int | str, ...], limit: int, device: torch.device
) -> Tensor:
    """Checks an int64 tensor of indices.

    Args:
        name: The argument's name.
        value: What came.
        shape: Expected sizes; a string stands for any size of at least 1, under that name.
        limit: Indices lie in [0, limit).
        device: Where the model is.

    Raises:
        ValueError: Another type, dtype, shape, range or device.
    """
    expected = f"int64 ({', '.join(str(size) for size in shape)})"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor {expected}, got {type(value).__name__}")
    if value.dtype != torch.int64:
        raise ValueError(f"{name}: expected {expected}, got {value.dtype}; use .long()")
    right = len(shape) == value.ndim and all(
        size == wanted if isinstance(wanted, int) else size >= 1
        for size, wanted in zip(value.shape, shape, strict=True)
    )
    if not right:
        raise ValueError(f"{name}: expected {expected}, got shape {tuple(value.shape)}")
    if value.device != device:
        raise ValueError(
            f"{name}: expected device {device}, where the model is, got {value.device}"
        )
    if value.numel() and (int(value.min()) < 0 or int(value.max()) >= limit):
        raise ValueError(
            f"{name}: expected values in [0, {limit}), got {int(value.min())} to {int(value.max())}"
        )
    return value
