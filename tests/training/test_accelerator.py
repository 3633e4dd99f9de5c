from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState

from worldtokens.training import accelerator
from worldtokens.training.accelerator import describe_hardware, make_accelerator


@pytest.fixture(autouse=True)
def no_state():
    # Accelerate keeps the first precision of a process.
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


def test_precision_is_checked():
    message = "mixed_precision: expected one of auto, no, bf16, fp16, got 'fp8'"
    with pytest.raises(ValueError, match=message):
        make_accelerator("fp8")


def test_precision_is_passed_on():
    assert make_accelerator("no", cpu=True).mixed_precision == "no"


@pytest.mark.parametrize(("native", "expected"), [(torch.bfloat16, "bf16"), (None, "no")])
def test_auto_is_bf16_where_the_device_computes_it(monkeypatch, native, expected):
    devices = []

    def native_dtype(device):
        devices.append(device.type)
        return native

    monkeypatch.setattr(accelerator, "native_autocast_dtype", native_dtype)
    assert make_accelerator("auto", cpu=True).mixed_precision == expected
    assert devices == ["cpu"]


@pytest.mark.parametrize(
    ("processes", "threads", "words"),
    [(1, 1, "cpu, 1 thread"), (1, 4, "cpu, 4 threads"), (2, 4, "2 processes of cpu, 4 threads")],
)
def test_hardware_in_words(monkeypatch, processes, threads, words):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    fake = SimpleNamespace(device=torch.device("cpu"), num_processes=processes)
    assert describe_hardware(fake) == words  # pyright: ignore[reportArgumentType]
