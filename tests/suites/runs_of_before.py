"""Runs on image files with the names that they had by version 1, and what `rotnet migrate` says of them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from rotnet_lib.cli import main
from rotnet_lib.data import image_files
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import (
    LOCK,
    METRICS,
    PARAMETERS,
    RunDirectory,
    directory_of,
)
from rotnet_lib.runs.identity import name_ending, result_checksum
from rotnet_lib.stages import STAGES

PETS = "imagefolder:pets"
TINY = {"width": 0.05, "epochs": 2, "batch_size": 16, "device": "cpu", "threads": 1}
CHAIN = ("rotnet", "probe", "weights", "weighted")
"""Runs on the images of `pets`, each on others before it."""


def rotnet(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=answer)


def lines(result: Result) -> dict[str, str]:
    """What is said of each finished run that has not today's name, by its name."""
    assert result.exit_code == 0, result.output
    told = (" becomes ", " stays: ", ": its copy ")
    found = [line.partition(" ") for line in result.stdout.splitlines() if any(words in line for words in told)]
    return {name.rstrip(":"): said for name, _, said in found}


@contextmanager
def before() -> Iterator[None]:
    """The fingerprints of image files are those of version 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_files, "VERSION", 1)
        yield


def configs() -> dict[str, RunConfig]:
    """The runs as somebody asks for them, now or before: the names of the others are part of each."""
    found: dict[str, RunConfig] = {}

    def add(key: str, stage: str, **parameters: Any) -> str:
        found[key] = STAGES[stage].config.build(parameters)
        return name_of(found[key])

    upstream = add("rotnet", "pretrain", dataset=PETS, arch="nin3", checkpoints=[0.5], **TINY)
    add("probe", "probe", dataset=PETS, backbone=upstream, arch="nin3", layer="conv2", **TINY)
    few = {"dataset": PETS, "arch": "nin3", "width": 0.05, "device": "cpu"}
    weights = add("weights", "pu_weights", backbone=upstream, **few)
    add("weighted", "pretrain", pu_weights=weights, arch="nin3", dataset=PETS, **TINY)
    add("drawn", "pretrain", dataset="shapes", train_size=40, test_size=20, arch="nin3", **TINY)
    return found


def name_of(config: RunConfig) -> str:
    return directory_of(config, config.fingerprint()).name


def write_images() -> None:
    noise = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 5)):
        for kind in ("cat", "dog"):
            folder = Path("pets", split, kind)
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def today() -> dict[str, RunDirectory]:
    return {key: RunDirectory(Path("runs").absolute() / name_of(config)) for key, config in configs().items()}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != LOCK}


def stays(run: RunDirectory, why: str) -> None:
    """The run and those that build on it are named, and nothing is renamed."""
    found = files(Path("runs"))
    said = lines(rotnet("migrate", "--yes"))
    assert why in said[run.name]
    assert all(text.startswith("stays: ") for text in said.values()), said
    assert {name: content for name, content in files(Path("runs")).items() if name in found} == found


def with_parameters(run: RunDirectory, parameters: dict[str, Any]) -> RunDirectory:
    """A copy of a finished run, as a library made it that had these parameters."""
    result = run.result()
    left_out = {*(result.execution or ()), *result.later}
    hashed = {name: value for name, value in parameters.items() if name not in left_out}
    start = run.name.rpartition("-")[0]
    copy = run.path.with_name(f"{start}-{name_ending(result.stage, result.version or 1, hashed, result.data.fingerprint)}")
    shutil.copytree(run.path, copy)
    (copy / PARAMETERS).write_text(yaml.safe_dump(parameters))
    result.run, result.parameters = copy.name, parameters
    result.checksum = result_checksum(json.loads(result.model_dump_json()))
    (copy / METRICS).write_text(result.model_dump_json())
    assert RunDirectory(copy).finished
    return RunDirectory(copy)
