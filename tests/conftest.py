"""What every test gets: folders of its own, one thread, and a training run that takes a tenth of a second."""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the kernels that tests start

import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.shapes_source import Shapes
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.models.inputs import INPUTS, declare_inputs
from rotnet_lib.runs.directory import RunDirectory, directory_of
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from tests.luminance import LUMINANCE

torch.set_num_threads(1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long modules first, so that a run on several workers does not end with one module on one of them.

    First come modules with a time limit of their own, the longest first; then modules with slow tests; then those with the
    most tests. The order within a module stays.
    """
    rank: dict[str, list[float]] = {}
    for item in items:
        own = rank.setdefault(item.nodeid.partition("::")[0], [0, 0, 0])
        limit = item.get_closest_marker("timeout")
        own[0] = max(own[0], limit.args[0] if limit else 0)
        own[1] = max(own[1], item.get_closest_marker("slow") is not None)
        own[2] += 1
    items.sort(key=lambda item: rank[item.nodeid.partition("::")[0]], reverse=True)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's data, cache or runs, nor another test's."""
    monkeypatch.setenv("ROTNET_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Shapes are drawn once a worker: tests have a cache each, and hundreds of them take the same few images."""
    drawn: dict[tuple[str, SplitName, int | None], tuple[np.ndarray, ...]] = {}
    decode = Shapes.decode

    def once(self: Shapes, split: SplitName, count: int | None) -> tuple[np.ndarray, ...]:
        key = (self.fingerprint, split, count)
        if key not in drawn:
            drawn[key] = decode(self, split, count)
        return tuple(array.copy() for array in drawn[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes, "decode", once)
        yield


@pytest.fixture(autouse=True)
def _own_threads() -> Iterator[None]:
    """A config with `threads` sets them for the whole process."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def luminance() -> Iterator[str]:
    """The name of a kind of input with one channel, registered for the test."""
    declare_inputs(LUMINANCE)
    yield LUMINANCE.name
    INPUTS.remove(LUMINANCE.name)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes torch say that there are so many GPUs: `gpus(0)`, `gpus(2)`, `gpus(1, "mps")`; what is set for them is put back."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda precision: None)

    def there_are(count: int, kind: str = "cuda") -> None:
        found = torch.device(kind) if count else None
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
        monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 0)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(count) and kind == "cuda")

    return there_are


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


@pytest.fixture(scope="session")
def _trained_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of `pretrained` are kept for the tests to come, one folder a config."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def pretrained(tiny: dict[str, Any], _trained_before: Path) -> Callable[..., RunDirectory]:
    """Makes a finished pretrain run in `runs/` and gives its directory: `pretrained(arch="nin3", seed=1)`.

    Each run is trained once a worker, in the test that asks for it first; later tests get a copy of its folder. Not for a
    test that changes how training works: what it trained would be in other tests' runs.
    """

    def make(**parameters: Any) -> RunDirectory:
        config = PretrainConfig.build(tiny | {"arch": "nin3"} | parameters)
        directory = directory_of(config, config.fingerprint())
        # The name says which experiment it is, on which data; the config has the rest, such as the folder of runs.
        config_hash = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
        kept = _trained_before / config_hash / directory.name
        if kept.exists() and not directory.path.exists():
            time.sleep(_TICK)  # what the test has written before is older
            shutil.copytree(kept, directory.path, copy_function=shutil.copyfile)  # without the times of the original
            time.sleep(_TICK)
        else:
            pretrain(config).save()
            if not kept.exists():
                shutil.copytree(directory.path, kept)
        return directory

    return make


_TICK = 0.01
"""Seconds after which a file that is written has a later time than one that was written before, on any usual system."""


@pytest.fixture
def started(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Gives the arguments that Python was started with, as the engine starts Snakemake; [] if it was not.

    A script stands in for it that does nothing else.
    """
    folder = tmp_path_factory.mktemp("tools")
    script, noted = folder / "python", folder / "arguments"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{noted}"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return lambda: noted.read_text().splitlines() if noted.exists() else []


@pytest.fixture(scope="session")
def shapes_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The dataset of `tiny` in memory: 40 + 20 images of 32 x 32. Not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset(DataSpec("shapes", train_size=40, test_size=20))
