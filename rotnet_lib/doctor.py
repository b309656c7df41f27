"""What a machine has, and how to get what it lacks."""

import os
import platform
import shutil
import sys
from pathlib import Path

import psutil
import torch

from rotnet_lib import __version__
from rotnet_lib.data.source import DATASETS, cache_root, data_root, open_source
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import NOTEBOOKS, shown_path
from rotnet_lib.runs import provenance
from rotnet_lib.training.devices import accelerator

_OPTIONAL = {
    "detectron2": ("VOC detection with engine=detectron2", "make detectron2"),
    "onedl-mmsegmentation": ("VOC segmentation", "make setup, or pip install --no-deps -r requirements.txt"),
}
"""Distribution -> what it is for, how to install it."""

_ABSENT = ("no folder", "no split file")
"""How the error of a dataset begins that is not here at all."""


def report() -> str:
    """A line a finding: Python, torch, GPU, notebooks, disk, data, optional tools. `bench.readiness` has the verdict."""
    lines = [
        ("rotnet-lib", f"{__version__} at {provenance.commit() or 'no commit'}"),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("machine", f"{provenance.cpu_name()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("torch", f"{torch.__version__}, torchvision {provenance.installed('torchvision') or 'missing'}"),
        *_gpus(),
        (
            "notebooks",
            str(NOTEBOOKS) if NOTEBOOKS.is_dir() else f"missing: {NOTEBOOKS}. Install from a checkout: pip install -e .",
        ),
        ("disk", f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB free here"),
        ("data in", f"{shown_path(data_root())} (ROTNET_DATA), decoded copies in {shown_path(cache_root())} (ROTNET_CACHE)"),
        *((f"  {name}", _dataset(name)) for name in DATASETS),
        *((f"  {name}", _optional(name)) for name in _OPTIONAL),
        ("  slurm", shutil.which("sbatch") or "not here (optional): EXECUTOR=slurm needs sbatch"),
    ]
    return "\n".join(f"{name:24} {text}" for name, text in lines)


def _gpus() -> list[tuple[str, str]]:
    found = accelerator()
    if found is None:
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        driver = (
            "there is a driver: is it too old for that?" if Path("/proc/driver/nvidia/version").exists() else "no driver here"
        )
        return [("gpu", f"none seen ({built}; {driver}): preset quick")]
    if found.type == "mps":
        return [
            ("gpu", "Apple's: the preset quick is the default; runs are in fp32 and of one process. Nobody has tried it yet."),
            ("", "Where torch says that it cannot compute something on it: -p device cpu"),
        ]
    lines = []
    version = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        lines.append((f"gpu {index}", f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB, {version}"))
    return lines


def _dataset(name: str) -> str:
    if name == "imagefolder":
        return "imagefolder:/path with {train,test}/<class>/*.jpg"
    try:
        source = open_source(name)
    except RotnetError as error:
        problem = str(error).replace(f"{Path.cwd()}/", "").partition(". ")[0].removesuffix(".")
        if problem.startswith(_ABSENT):
            return f"not here (optional): `rotnet data {name}` says how to get it"
        return f"cannot be opened: {problem}; `rotnet data {name}` says more"
    return f"{source.title}: {source.location()}"


def _optional(name: str) -> str:
    purpose, command = _OPTIONAL[name]
    version = provenance.installed(name)
    return f"{version} ({purpose})" if version else f"not here (optional, for {purpose}): {command}"
