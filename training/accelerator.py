"""The accelerator that both training scripts build: device, precision and process group."""

import torch
from accelerate import Accelerator

PRECISIONS = ("auto", "no", "bf16", "fp16")


def make_accelerator(mixed_precision: str = "auto", cpu: bool = False) -> Accelerator:
    """Builds the accelerator; `auto` is bf16 where the device computes bf16 natively.

    Args:
        mixed_precision: One of PRECISIONS.
        cpu: Stay on the CPU although there is another device.

    Raises:
        ValueError: An unknown precision.
    """
    if mixed_precision not in PRECISIONS:
        raise ValueError(f"mixed_precision: expected one of {PRECISIONS}, got {mixed_precision!r}")
    if mixed_precision == "auto":
        mixed_precision = "bf16" if bf16_is_native(cpu) else "no"
    return Accelerator(mixed_precision=mixed_precision, cpu=cpu)


def bf16_is_native(cpu: bool = False) -> bool:
    """Whether bf16 matrix products run in hardware, and so faster than float32.

    A CPU needs AVX512-BF16 or AMX: without either torch emulates bf16, slower than float32.
    """
    if torch.cuda.is_available() and not cpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.backends.mps.is_available() and not cpu:
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
