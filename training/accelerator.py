"""The accelerator that all training scripts build: device, precision and process group."""

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState, GradientState

from worldtokens.common.devices import native_autocast_dtype

PRECISIONS = ("auto", "no", "bf16", "fp16")


def make_accelerator(mixed_precision: str, cpu: bool = False) -> Accelerator:
    """Builds the accelerator; `auto` is bf16 where the device computes bf16 natively.

    Args:
        mixed_precision: One of PRECISIONS.
        cpu: Stay on the CPU although there is another device.

    Raises:
        ValueError: The precision is unknown.
    """
    if mixed_precision not in PRECISIONS:
        raise ValueError(
            f"mixed_precision: expected one of {', '.join(PRECISIONS)}, got {mixed_precision!r}"
        )
    if mixed_precision == "auto":
        device = PartialState(cpu=cpu).device
        assert isinstance(device, torch.device)
        is_native = native_autocast_dtype(device) is torch.bfloat16
        mixed_precision = "bf16" if is_native else "no"
    # An earlier run of this process may have had another precision.
    AcceleratorState._reset_state()
    GradientState._reset_state()
    return Accelerator(mixed_precision=mixed_precision, cpu=cpu)


def describe_hardware(accelerator: Accelerator) -> str:
    """Returns what a run trains on, in words: the GPU or the threads, and how many processes."""
    device, processes = accelerator.device, accelerator.num_processes
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        hardware = f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
    return f"{processes} processes of {hardware}" if processes > 1 else hardware
