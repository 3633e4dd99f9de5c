"""Checks of the frames and tokens that callers pass to a tokenizer."""

import numpy as np
import torch
from torch import Tensor


def as_frames(
    frames: Tensor | np.ndarray, shape: tuple[int, int, int], device: torch.device
) -> Tensor:
    """Checks frames; returns them as a uint8 tensor (..., height, width, 3) on their own device.

    Raises:
        ValueError: `frames` is no uint8 array or tensor of `shape` frames, or lies on a device that
            is neither the CPU nor `device`.
    """
    frames = _as_tensor("frames", frames, device)
    if frames.dtype != torch.uint8:
        raise ValueError(f"frames: expected uint8 in [0, 255], got {frames.dtype}")
    if tuple(frames.shape[-3:]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"frames: expected shape (..., {expected}), got {tuple(frames.shape)}")
    return frames


def as_tokens(
    tokens: Tensor | np.ndarray, tokens_per_frame: int, vocab_size: int, device: torch.device
) -> Tensor:
    """Checks tokens; returns them as an int64 tensor (..., K) on their own device.

    Raises:
        ValueError: `tokens` is no integer array or tensor of K tokens a frame, holds a value
            outside [0, vocab_size), or lies on a device that is neither the CPU nor `device`.
    """
    tokens = _as_tensor("tokens", tokens, device)
    if tokens.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8):
        raise ValueError(f"tokens: expected int64 (or a smaller integer type), got {tokens.dtype}")
    if tokens.ndim == 0 or tokens.shape[-1] != tokens_per_frame:
        raise ValueError(
            f"tokens: expected shape (..., {tokens_per_frame}), got {tuple(tokens.shape)}"
        )
    tokens = tokens.long()
    if tokens.numel() and (int(tokens.min()) < 0 or int(tokens.max()) >= vocab_size):
        raise ValueError(
            f"tokens: expected values in [0, {vocab_size}), got "
            f"{int(tokens.min())} to {int(tokens.max())}"
        )
    return tokens


def _as_tensor(name: str, value: Tensor | np.ndarray, device: torch.device) -> Tensor:
    if isinstance(value, np.ndarray):
        return _from_array(name, value)
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor or a numpy array, got {type(value).__name__}")
    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        what = "a nested tensor" if value.is_nested else f"layout {value.layout}"
        raise ValueError(f"{name}: expected a dense tensor, got {what}")
    if value.device.type != "cpu" and value.device != device:
        raise ValueError(f"{name}: expected a tensor on the CPU or on {device}, got {value.device}")
    return value


def _from_array(name: str, value: np.ndarray) -> Tensor:
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name}: expected a plain array, got a masked array; fill it first")
    if value.dtype.kind not in "iufb":
        raise ValueError(f"{name}: expected a numeric array, got dtype {value.dtype}")
    if value.dtype in (np.uint16, np.uint32, np.uint64) or value.dtype.itemsize > 8:
        raise ValueError(f"{name}: expected uint8 or a signed integer type, got {value.dtype}")
    # Torch warns about read-only arrays, and supports neither negative strides nor those of a
    # column of a record array.
    is_odd = any(stride < 0 or stride % value.itemsize for stride in value.strides)
    needs_copy = is_odd or not value.flags.writeable or not value.flags.aligned
    value = value.copy() if needs_copy else value
    return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=False))
