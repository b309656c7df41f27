"""Runs that kinds of input are made from: trained in a fraction of a second."""

from pathlib import Path
from typing import Any

from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain

TINY: dict[str, Any] = {
    "dataset": "shapes",
    "arch": "nin3",
    "train_size": 40,
    "test_size": 20,
    "image_size": 16,
    "width": 0.05,
    "epochs": 1,
    "batch_size": 16,
    "device": "cpu",
    "threads": 1,
}
"""Parameters of a pretrain run that learns nothing."""


def make_run(folder: Path, **parameters: Any) -> RunDirectory:
    """A finished pretrain run in `folder/runs`, its weights, its history and its result as a run writes them."""
    config = PretrainConfig.build(TINY | {"runs": str(folder / "runs")} | parameters)
    outcome = pretrain(config)
    outcome.save()
    outcome.directory.close()
    return outcome.directory


def run_of_seed(folder: Path, seed: int) -> RunDirectory:
    """The run of that seed in `folder/runs`."""
    return RunDirectory(sorted((folder / "runs").glob(f"*-s{seed}-*"))[0])
