"""What every test gets: folders of its own, one thread, and a training run that takes a tenth of a second."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the kernels that tests start

import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's data, cache or runs, nor another test's."""
    monkeypatch.setenv("ROTNET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    """A config with `threads` sets them for the whole process."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Training parameters of any stage, for a run that takes a tenth of a second and learns nothing."""
    return {
        "dataset": "shapes",
        "train_size": 40,
        "test_size": 20,
        "width": 0.05,
        "epochs": 1,
        "batch_size": 16,
        "device": "cpu",
    }


@pytest.fixture
def pretrained(tiny: dict[str, Any]) -> Callable[..., RunDirectory]:
    """Makes a finished pretrain run in `runs/` and gives its directory: `pretrained(arch="nin3", seed=1)`."""

    def make(**parameters: Any) -> RunDirectory:
        outcome = pretrain(PretrainConfig.build(tiny | {"arch": "nin3"} | parameters))
        outcome.save()
        return outcome.directory

    return make


@pytest.fixture(scope="session")
def shapes_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The dataset of `tiny` in memory: 40 + 20 images of 32 x 32. Not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset("shapes", train_size=40, test_size=20)
