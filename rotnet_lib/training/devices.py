"""Where a run computes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch

if TYPE_CHECKING:
    from rotnet_lib.runs.config import RunConfig

_DRIVERS = ("/dev/nvidiactl", "/dev/nvhost-ctrl-gpu", "/dev/kfd", "/dev/dxg")
"""Device files of GPU drivers: NVIDIA, NVIDIA Jetson, AMD, Windows Subsystem for Linux."""


def gpu_name(drivers: Iterable[str] = _DRIVERS) -> str | None:
    """The name of the GPU that torch would use, such as "NVIDIA H200"; None if there is none.

    If none of the drivers' device files exists, torch is not asked, since importing it takes seconds.
    """
    if not any(Path(driver).exists() for driver in drivers) or not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_name()


def autocast(device: torch.device) -> torch.autocast:
    """The precision of forward passes: bf16 on a GPU, as it is on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def select_device(config: RunConfig) -> torch.device:
    """The device a config asks for, with its number of threads and matmul precision set.

    In a process group, each rank has the GPU of its local rank, and the ranks on one machine share the threads.

    Raises RotnetError if a GPU is asked for and there is none.
    """
    if config.threads:
        torch.set_num_threads(max(1, config.threads // _processes_here()))
    if config.device == "cuda" and not torch.cuda.is_available():
        raise RotnetError(
            "device: 'cuda' asked for, but torch sees no GPU (`rotnet doctor` tells more). Allowed here: cpu, auto."
        )
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = True  # shapes do not change, so the search for the fastest kernels pays
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda", torch.cuda.current_device())


def _processes_here() -> int:
    """The number of ranks on this machine."""
    from rotnet_lib.training import collectives

    return int(os.environ["LOCAL_WORLD_SIZE"]) if collectives.in_process_group() else 1
