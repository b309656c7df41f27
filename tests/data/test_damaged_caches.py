"""Decoded images and proposals that were kept for later: what is damaged is named, whatever is wrong with it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.source import cache_root
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.voc.proposals import find_proposals
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rewritten(change: Callable[[dict[str, Any]], Any], metadata: dict[str, str] | None = None) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        arrays = safetensors.numpy.load_file(path)
        change(arrays)
        safetensors.numpy.save_file(arrays, path, metadata)

    return rewrite


@pytest.mark.parametrize(
    "damage",
    [
        pipe,
        folder,
        lambda path: path.write_bytes(b""),
        rewritten(lambda arrays: arrays.pop("labels")),
        rewritten(lambda arrays: arrays.update(images=arrays["images"].astype(np.float32))),
        rewritten(lambda arrays: arrays.update(images=arrays["images"][0])),
        rewritten(lambda arrays: arrays.update(labels=arrays["labels"][:-1])),
        rewritten(lambda arrays: arrays.update(labels=arrays["labels"].astype(np.float64))),
        rewritten(lambda arrays: None, {"damaged": "{"}),
        rewritten(lambda arrays: None, {"damaged": "null"}),
        rewritten(lambda arrays: None, {"damaged": json.dumps([1])}),
    ],
)
@pytest.mark.timeout(60)  # a pipe that is opened waits for ever
def test_damaged_decoded_images_are_named(damage: Callable[[Path], Any]) -> None:
    load_dataset(DataSpec("shapes", train_size=20, test_size=10))
    [path] = cache_root().glob("shapes-*-train-*.safetensors")
    damage(path)
    with pytest.raises(RotnetError, match=f"{path}.*Delete that file and run again"):
        load_dataset(DataSpec("shapes", train_size=20, test_size=10))


def test_the_decoded_images_of_another_set_are_not_taken_for_this_ones() -> None:
    load_dataset(DataSpec("shapes", train_size=20, test_size=20))
    [own] = cache_root().glob("shapes-*-train-*.safetensors")
    [other] = cache_root().glob("shapes-*-test-*.safetensors")
    own.write_bytes(other.read_bytes())
    with pytest.raises(RotnetError, match=f"{own} are those of {other.name}. Delete that file and run again"):
        load_dataset(DataSpec("shapes", train_size=20, test_size=20))


ARRAYS: dict[str, np.ndarray] = {
    "boxes": np.zeros((3, 4), np.float32),
    "starts": np.array([0, 3]),
    "counted": np.array([1, 2]),
}


def bare_array(path: Path) -> None:
    """A file of one array, which has no name."""
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def kept(path: Path, **changes: Any) -> None:
    np.savez(path, **{name: array for name, array in (ARRAYS | changes).items() if array is not None})


@pytest.mark.parametrize(
    "write",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive"),
        bare_array,
        lambda path: kept(path, boxes=None),
        lambda path: kept(path, boxes=np.zeros((3, 5), np.float32)),
        lambda path: kept(path, boxes=np.zeros((3, 4), "U3")),
        lambda path: kept(path, starts=np.array([0, 2])),
        lambda path: kept(path, starts=np.array([0, 4, 3])),
        lambda path: kept(path, starts=np.array([], np.int64)),
        lambda path: kept(path, counted=np.array([1, 2, 3])),
        lambda path: kept(path, counted=np.array(["a", "b"])),
    ],
)
@pytest.mark.timeout(20)  # a pipe that is opened waits for ever
def test_damaged_proposals_are_named(write: Callable[[Path], Any], tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    split = VocSplit(tmp_path, ("cat",), "test", ())
    kept_in = cache_root()
    with pytest.raises(ValueError, match="need at least one array"):
        find_proposals(split, "f", workers=0)  # says where they would be kept, by its lock
    [lock] = kept_in.glob(".proposals-*.lock")
    path = kept_in / f"{lock.name.removeprefix('.').removesuffix('.lock')}.npz"
    write(path)
    with pytest.raises(RotnetError, match=f"{path}.*Delete that file and run again"):
        find_proposals(split, "f", workers=0)
