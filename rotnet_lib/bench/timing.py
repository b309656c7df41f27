"""Timing calls on a device."""

import time
from collections.abc import Callable

import torch

from rotnet_lib.training.devices import in_bf16


def seconds_each(call: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Mean seconds of a call, over as many as fit into `seconds`; the device is waited for at the ends only."""
    for _ in range(3 if device.type != "cpu" else 1):  # warm-up: on a GPU a second call still looks for kernels
        call()
    _wait(device)
    begin, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - begin < seconds:
        for _ in range(5 if device.type != "cpu" else 1):
            call()
            calls += 1
        if calls % 50 == 0:
            _wait(device)  # else the queue grows for longer than `seconds`
    _wait(device)
    return (time.perf_counter() - begin) / calls


def matmul_rate(seconds: float, device: torch.device) -> float:
    """FLOP/s of a large square product of random matrices, in the precision that training multiplies in."""
    size, dtype = (8192, torch.bfloat16) if in_bf16(device) else (2048, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds_each(lambda: a @ b, seconds, device)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
