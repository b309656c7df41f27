"""Files of tensors carry a checksum and their run's name: what is damaged or another run's is named, never used."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.runs.directory import MODEL, PARAMETERS, RunDirectory
from rotnet_lib.runs.unverified import noted, noting
from rotnet_lib.training.checkpoints import (
    load_backbone,
    load_network,
    load_tensors,
    save_backbone,
    save_tensors,
)
from rotnet_lib.training.headers import backbone_header
from tests.training.tampering import from_before, metadata_of, tampered

SMALL = {
    "a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "b": torch.tensor(7),
    "c": torch.zeros(0, 3),
    "d": torch.tensor([True, False]),
    "e": torch.ones(3, dtype=torch.bfloat16),
}


# --- The checksum ---


def test_tensors_of_every_kind_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", SMALL, {"some": "header"})
    tensors, header = load_tensors(tmp_path / "file")
    assert header == {"some": "header"}
    for name, tensor in SMALL.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_a_bit_that_flips_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_tensors(path, SMALL, {"some": "header"}, run="run")
    content = path.read_bytes()
    missed = []
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            load_tensors(path)
        except RotnetError as error:
            assert str(path) in str(error)  # noqa: PT017 (there is one for each bit)
        else:
            missed.append(bit)
    assert missed == []


@pytest.mark.parametrize("name", ["run", "header", "checksum"])
def test_a_file_without_a_part_of_what_it_should_say_is_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tensors(path, SMALL, {})
    metadata = {key: value for key, value in metadata_of(path).items() if key != name}
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata)
    with pytest.raises(RotnetError, match=f"damaged checkpoint {path}: it lacks its run"):
        load_tensors(path)


def test_a_file_from_before_is_used_and_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.safetensors"
    save_tensors(path, SMALL, {"some": "header"})
    from_before(path)
    with noting():
        tensors, header = load_tensors(path)
        assert noted() == [f"{tmp_path.name}/old.safetensors"]
    assert header == {"some": "header"}
    assert torch.equal(tensors["a"], SMALL["a"])
    assert capsys.readouterr().out == ""
    load_tensors(path)
    said = f"unverified: {tmp_path.name}/old.safetensors was written before files carried a checksum.\n"
    assert capsys.readouterr().out == said


# --- The run ---


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunDirectory, RunDirectory]:
    """Two run directories as far as a file in them is concerned."""
    found = RunDirectory(tmp_path / "one"), RunDirectory(tmp_path / "two")
    for run in found:
        run.path.mkdir()
        (run.path / PARAMETERS).write_text("{}")
        save_tensors(run.path / MODEL, SMALL, {}, run=run.name)
    return found


def test_a_runs_file_is_read_in_its_folder_and_elsewhere(runs: tuple[RunDirectory, RunDirectory], tmp_path: Path) -> None:
    shutil.copy(runs[0].path / MODEL, tmp_path / "copy")
    for path in (runs[0].path / MODEL, tmp_path / "copy"):
        assert load_tensors(path)[0].keys() == SMALL.keys()


def test_a_file_of_another_run_is_refused(runs: tuple[RunDirectory, RunDirectory]) -> None:
    one, two = runs
    shutil.copy(two.path / MODEL, one.path)
    with pytest.raises(RotnetError, match=f"{one.path / MODEL}: it is of run two, and its folder is that of run one"):
        load_tensors(one.path / MODEL)


def test_a_file_of_no_run_in_a_runs_folder_is_refused(runs: tuple[RunDirectory, RunDirectory]) -> None:
    save_tensors(runs[0].path / MODEL, SMALL, {})
    with pytest.raises(RotnetError, match="it is of no run, and its folder is that of run one"):
        load_tensors(runs[0].path / MODEL)


def test_the_files_of_a_damaged_run_are_refused(runs: tuple[RunDirectory, RunDirectory]) -> None:
    (runs[0].path / "metrics.json").write_text("{}")
    with pytest.raises(RotnetError, match=f"{runs[0].path}/metrics.json is damaged"):
        load_tensors(runs[0].path / MODEL)


# --- Headers ---


def backbone_file(path: Path) -> None:
    backbone = make_backbone("nin3", width=0.05, mean=(0,) * 3, std=(1,) * 3)
    save_backbone(path, Network(backbone, 4, 32), backbone)


TAPS = ["conv1", "conv2", "conv3"]


@pytest.mark.parametrize(
    "header",
    [
        "{",
        "null",
        "[]",
        "3",
        '"text"',
        "[" * 100_000,
        json.dumps({"arch": ["nin3"], "width": 0.05, "taps": TAPS}),
        json.dumps({"arch": None, "width": 0.05, "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": "x", "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": "0.05", "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": -1, "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": float("nan"), "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": 1e9, "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": True, "taps": TAPS}),
        json.dumps({"arch": "nin3", "taps": TAPS}),
        json.dumps({"arch": "nin3", "width": 0.05}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": None}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": []}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": "conv1"}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": [[]]}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": ["conv1", "conv9"]}),
        json.dumps({"arch": "nin3", "width": 0.05, "taps": ["conv3", "conv1"]}),
        json.dumps({"arch": "nin9", "width": 0.05, "taps": TAPS}),
        json.dumps({}),
    ],
)
@pytest.mark.parametrize("load", [load_backbone, backbone_header, lambda path: load_network(path, 32)])
def test_a_header_that_makes_no_sense_is_named(header: str, load: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / MODEL
    backbone_file(path)
    tampered(path, header=header)
    with pytest.raises(RotnetError, match=rf"(damaged|foreign) checkpoint {re.escape(str(path))}: .*header|arch"):
        load(path)


def test_a_missing_header_is_named(tmp_path: Path) -> None:
    backbone_file(tmp_path / MODEL)
    tampered(tmp_path / MODEL, header=None)
    from_before(tmp_path / MODEL)
    safetensors.torch.save_file(safetensors.torch.load_file(tmp_path / MODEL), tmp_path / MODEL, {"format": "rotnet-1"})
    with pytest.raises(RotnetError, match="its header is missing"):
        load_backbone(tmp_path / MODEL)


@pytest.mark.parametrize(
    "change", [lambda head: head.double(), lambda head: head[:0], lambda head: head[:, :0], lambda head: head[0]]
)
def test_a_head_that_is_none_is_named(change: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / MODEL
    backbone_file(path)
    tensors, header = load_tensors(path)
    name = next(name for name, tensor in tensors.items() if name.startswith("head.") and tensor.dim() == 2)
    save_tensors(path, tensors | {name: change(tensors[name])}, header)
    with pytest.raises(RotnetError, match=f"{path} does not fit the model"):
        load_network(path, 32)


def test_weights_of_another_type_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / MODEL
    backbone_file(path)
    tensors, header = load_tensors(path)
    save_tensors(path, tensors | {"backbone.normalize.mean": tensors["backbone.normalize.mean"].long()}, header)
    with pytest.raises(RotnetError, match=r"normalize\.mean is of type torch\.int64, expected torch\.float32"):
        load_backbone(path)


@pytest.mark.parametrize("load", [load_backbone, backbone_header, load_tensors, Plausibility.load])
@pytest.mark.timeout(20)  # a pipe that is opened waits for ever
def test_a_named_pipe_is_no_checkpoint(load: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MODEL)
    with pytest.raises(RotnetError, match=f"{tmp_path / MODEL} is no file but a named pipe"):
        load(tmp_path / MODEL)


# --- Probabilities of copies ---


@pytest.mark.parametrize(
    ("p", "header"),
    [
        (torch.rand(3, 4), {"angles": 3, "images": {}}),
        (torch.rand(3, 4), {"angles": [0, "x", 2, 3], "images": {}}),
        (torch.rand(3, 4), {"angles": [0, 90, 180, 270], "images": []}),
        (torch.rand(3, 4), {"angles": [90, 180, 270, 45], "images": {}}),
        (torch.rand(3, 3), {"angles": [0, 90, 180, 270], "images": {}}),
        (torch.rand(4), {"angles": [0, 90, 180, 270], "images": {}}),
        (torch.rand(3, 4).double(), {"angles": [0, 90, 180, 270], "images": {}}),
        (torch.rand(3, 4) + 2, {"angles": [0, 90, 180, 270], "images": {}}),
        (torch.full((3, 4), torch.nan), {"angles": [0, 90, 180, 270], "images": {}}),
    ],
)
def test_a_table_of_probabilities_that_is_none_is_named(p: torch.Tensor, header: dict[str, Any], tmp_path: Path) -> None:
    save_tensors(tmp_path / "pu.safetensors", {"p": p}, header)
    with pytest.raises(RotnetError, match=rf"damaged file {tmp_path}/pu\.safetensors"):
        Plausibility.load(tmp_path / "pu.safetensors")
