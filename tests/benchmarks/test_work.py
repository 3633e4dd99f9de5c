import torch
from timing import matmul_flops
from work import Work


def test_operations_are_counted_per_frame():
    left, right = torch.ones(8, 16), torch.ones(16, 4)
    work = Work("product", lambda: left @ right, frames=8, device="cpu", dtype=torch.float32)
    assert work.measure(0.0).flops == 2 * 16 * 4
    assert matmul_flops("cpu", torch.float32, size=32, seconds=0.0) > 0
