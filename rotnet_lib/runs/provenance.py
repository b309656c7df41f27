"""Where a figure comes from: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

import rotnet_lib
from rotnet_lib.lazy import torch
from rotnet_lib.runs.schema import Environment

_PACKAGES = ("torch", "torchvision", "numpy", "papermill", "nbconvert", "snakemake", "safetensors")
VOC_PACKAGES = ("detectron2", "onedl-mmsegmentation", "opencv-contrib-python-headless", "scikit-learn")
"""Packages that the figures of the VOC stages depend on besides."""


def environment(device: torch.device, processes: int = 1, packages: Sequence[str] = ()) -> Environment:
    """What a result is measured with: for `metrics.json` and the report's header.

    Args:
        device: where the run computed.
        processes: how many trained together. The `threads` in the result are those of one process.
        packages: to record beside the usual ones, if they are installed.
    """
    return Environment(
        rotnet_lib=rotnet_lib.__version__,
        commit=commit(),
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count(),
        processes=processes,
        threads=torch.get_num_threads(),
        device=device_name(device),
        cuda=(torch.version.cuda or torch.version.hip) if device.type == "cuda" else None,
        packages={name: version for name in (*_PACKAGES, *packages) if (version := installed(name)) is not None},
    )


def peak_memory_mib() -> int:
    """This process's largest resident size so far, shared libraries included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


@cache
def installed(package: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def device_name(device: torch.device) -> str:
    """`"NVIDIA H200"`; for the CPU the processor's name, for Apple's GPU too, with `GPU` behind it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else f"{cpu_name()} GPU ({device.type})"


def cpu_name() -> str:
    """The processor's marketing name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """Short hash of the code's git commit, with `+changes` if the tree differs from it; None outside a checkout."""
    root = Path(rotnet_lib.__file__).parents[1]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):  # git is missing, or a checkout without a commit
        return None
