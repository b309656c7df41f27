"""Where a run computes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch

if TYPE_CHECKING:
    from rotnet_lib.runs.config import RunConfig

_DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-ctrl-gpu", "/dev/kfd", "/dev/dxg")
"""Device files of GPU drivers: NVIDIA, NVIDIA Jetson, AMD, Windows Subsystem for Linux."""


KINDS: tuple[str, ...] = ("cuda", "mps")
"""Accelerators that runs compute on: `cuda` is a GPU of NVIDIA, or of AMD (ROCm); `mps` is Apple's."""


def accelerator() -> torch.device | None:
    """The device that torch would compute on, without an index; None if there is none of `KINDS`."""
    found: torch.device | None = torch.accelerator.current_accelerator(check_available=True)
    return found if found and found.type in KINDS else None


def gpu_name(drivers: Iterable[str] = _DRIVERS) -> str | None:
    """The name of the GPU that torch would use by CUDA or ROCm, such as "NVIDIA H200"; None if there is none.

    If none of the drivers' device files exists, torch is not asked, since importing it takes seconds. Apple's GPU does not
    count: it is too slow for the published schedules.
    """
    if not any(Path(driver).exists() for driver in drivers):
        return None
    found = accelerator()
    return torch.cuda.get_device_name() if found and found.type == "cuda" else None


def in_bf16(device: torch.device) -> bool:
    """Whether forward passes on a device are in bf16; in fp32 on the CPU and on Apple's GPU."""
    return device.type not in ("cpu", "mps")


def autocast(device: torch.device) -> torch.autocast:
    """The precision of forward passes; see `in_bf16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(device))


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Matrix products in float32, without autocast and without TF32, for what needs the digits that these leave out."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def select_device(config: RunConfig) -> torch.device:
    """The device a config asks for, with its number of threads and matmul precision set.

    In a process group, each rank has the GPU of its local rank, and the ranks on one machine share the threads.

    Raises RotnetError if a GPU is asked for and there is none of that kind.
    """
    if config.threads:
        torch.set_num_threads(max(1, config.threads // _processes_here()))
    found = None if config.device == "cpu" else accelerator()
    if config.device not in ("auto", "cpu") and (found is None or found.type != config.device):
        raise RotnetError(
            f"device: '{config.device}' asked for, but torch sees no such GPU (`rotnet doctor` tells more). Allowed here: "
            f"{f'{found.type}, ' if found else ''}cpu, auto."
        )
    if found is None:
        return torch.device("cpu")
    if found.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes do not change, so the search for the fastest kernels pays
        torch.set_float32_matmul_precision("high")
    return torch.device(found.type, torch.accelerator.current_device_index())


def check_devices(device: str, processes: int) -> None:
    """Raises RotnetError if this machine has fewer GPUs than processes that are to have one each.

    Args:
        device: as a config names it; processes on `cpu` share its cores.
        processes: how many are to train together here.
    """
    if device == "cpu":
        return
    found = accelerator()
    on_cpu = f"train with device=cpu: {processes} processes on its cores"
    if found and found.type == "mps":
        raise RotnetError(f"gpus: several processes do not train together on Apple's GPU. Take one, or {on_cpu}.")
    here = torch.accelerator.device_count() if found else 0
    if here < processes:
        raise RotnetError(
            f"gpus: {processes} asked for, this machine has {here or 'none that torch sees'} (`rotnet doctor` tells more). "
            f"Ask for fewer, or {on_cpu}."
        )


def rank_device(device: str) -> torch.device:
    """The device of this rank, whose number on this machine is in `LOCAL_RANK`; it becomes the process's own."""
    found = None if device == "cpu" else accelerator()
    if found is None:
        return torch.device("cpu")
    own = torch.device(found.type, int(os.environ["LOCAL_RANK"]))
    torch.accelerator.set_device_index(own.index)
    return own


def _processes_here() -> int:
    """The number of ranks on this machine."""
    from rotnet_lib.training import collectives

    return int(os.environ["LOCAL_WORLD_SIZE"]) if collectives.in_process_group() else 1
