"""Which device a command runs on, and in which precision."""

import torch


def choose_device() -> torch.device:
    """Returns the fastest device there is: cuda, else mps, else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def native_autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Returns bfloat16 where `device` multiplies it in hardware, None (float32 stays) elsewhere.

    A CPU needs AVX512-BF16 or AMX: without either torch emulates bfloat16, slower than float32.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    else:
        native = False
    return torch.bfloat16 if native else None
