"""Files of data sets as their authors publish them: idx files, CIFAR-10's batches."""

import hashlib
import pickle
import random
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.trial import Input
from rotnet_lib.data import fashion_mnist
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit

_RAW = "data/FashionMNIST/raw"
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")


class IdxFile(FileKind):
    name = "idx"
    right = "the images and labels in the files, where these are whole, agree in number and the labels are those of the classes"

    def prepare(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        (folder / _RAW).mkdir(parents=True)
        for name, count in zip(_FILES, (20, 20, 10, 10), strict=True):
            if "images" in name:
                content = struct.pack(">4i", 2051, count, 28, 28) + rng.integers(0, 256, count * 784, np.uint8).tobytes()
            else:
                content = struct.pack(">2i", 2049, count) + (np.arange(count) % 10).astype(np.uint8).tobytes()
            (folder / _RAW / name).write_bytes(content)

    def file(self, folder: Path) -> Path:
        return folder / _RAW / _FILES[3]

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / _RAW / name for name in _FILES]

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        path = folder / _RAW / rng.choice(_FILES)
        what = self.change_file(path, [donor.read_bytes() for donor in self.donors(folder)], rng)
        return Input(folder, good, f"{path.name}: {what}", (path.name, _RAW))

    def read(self, given: Input) -> Any:
        _take_for_official(given.good / _RAW)
        data = load_dataset(DataSpec("fashion-mnist"))
        return [in_memory(part) for part in (data.train, data.test)]

    def problem(self, given: Input, found: Any) -> str | None:
        for place, (images, labels) in enumerate(found):
            pixels, kinds = (_idx(given.folder / _RAW / name) for name in _FILES[2 * place : 2 * place + 2])
            if pixels is None or kinds is None or pixels.shape[1:] != (28, 28) or kinds.ndim != 1 or len(pixels) != len(kinds):
                return "files that are not whole were read"
            if not len(kinds) or kinds.max() > 9:
                return "labels of no class were read, or no images at all"
            if not np.array_equal(labels, kinds) or not np.array_equal(images, np.repeat(pixels[..., None], 3, 3)):
                return "other images or labels than the file's"
        return None


def _take_for_official(folder: Path) -> None:
    """Replace the shapes and checksums of the real files by those of the small ones."""
    table: dict[Any, Any] = fashion_mnist.FILES
    for split, files in table.items():
        arrays = [_idx(folder / file.name) for file in files]
        sums = [hashlib.sha256((folder / file.name).read_bytes()).hexdigest() for file in files]
        table[split] = tuple(
            file._replace(shape=array.shape, checksum=checksum)
            for file, array, checksum in zip(files, arrays, sums, strict=True)
            if array is not None
        )


def in_memory(split: Split | StreamedSplit) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, R, R, 3) and labels (N,)."""
    assert isinstance(split, Split)
    return split.images.numpy(), split.labels.numpy()


def _idx(path: Path) -> np.ndarray | None:
    """The array in an idx file of bytes; None where its size is not what its head says."""
    content = path.read_bytes()
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        return None
    dimensions = content[3]
    head = 4 + 4 * dimensions
    if len(content) < head:
        return None
    shape = struct.unpack(f">{dimensions}i", content[4:head])
    if min(shape, default=0) < 0 or len(content) - head != int(np.prod(shape, dtype=object)):
        return None
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


class CifarBatch(FileKind):
    """A batch file; torchvision's checksums, which are those of the real ones, are replaced by those of small ones."""

    name = "cifar10"
    right = "the images and labels of the good files: the library compares checksums"

    def prepare(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        base = folder / "data" / CIFAR10.base_folder
        base.mkdir(parents=True)
        for name in _BATCHES[:-1]:
            batch = {"data": rng.integers(0, 256, (10, 3072), np.uint8), "labels": list(range(10))}
            (base / name).write_bytes(pickle.dumps(batch))
        (base / _BATCHES[-1]).write_bytes(pickle.dumps({"label_names": [str(number) for number in range(10)]}))

    def file(self, folder: Path) -> Path:
        return folder / "data" / CIFAR10.base_folder / "test_batch"

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / "data" / CIFAR10.base_folder / name for name in _BATCHES]

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        path = rng.choice(list(self.donors(folder)))
        what = self.change_file(path, [donor.read_bytes() for donor in self.donors(folder)], rng)
        return Input(folder, good, f"{path.name}: {what}", (path.name, CIFAR10.base_folder))

    def read(self, given: Input) -> Any:
        known = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in self.donors(given.good)}
        CIFAR10.train_list = [[name, known[name]] for name in _BATCHES[:5]]
        CIFAR10.test_list = [["test_batch", known["test_batch"]]]
        CIFAR10.meta = {"filename": "batches.meta", "key": "label_names", "md5": known["batches.meta"]}
        data = load_dataset(DataSpec("cifar10"))
        return [in_memory(part) for part in (data.train, data.test)]

    def problem(self, given: Input, found: Any) -> str | None:
        batches = [pickle.loads(path.read_bytes()) for path in list(self.donors(given.good))[:-1]]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        images = np.concatenate([images for images, _ in found])
        labels = np.concatenate([labels for _, labels in found])
        right = np.array_equal(images, pixels) and labels.tolist() == [label for batch in batches for label in batch["labels"]]
        return None if right else "other images or labels than the good files'"
