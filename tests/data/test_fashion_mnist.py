"""`fashion-mnist`: torchvision's files, Debian's package, or a download."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets.mnist
from torchvision.datasets import FashionMNIST

from rotnet_lib.data import fashion_mnist
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.source import open_source

MessageOf = Callable[[Callable[[], object]], str]

COUNTS = {"train": 6, "t10k": 4}


def grey(split: str) -> np.ndarray:
    return np.random.default_rng(COUNTS[split]).integers(0, 256, (COUNTS[split], 28, 28), dtype=np.uint8)


def idx_files() -> dict[str, bytes]:
    """The four files, not compressed: a header of big-endian numbers, then the bytes."""
    files = {}
    for split, count in COUNTS.items():
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        files[f"{split}-images-idx3-ubyte"] = header + grey(split).tobytes()
        labels = np.arange(count, dtype=np.uint8)
        files[f"{split}-labels-idx1-ubyte"] = np.array([0x801, count], ">i4").tobytes() + labels.tobytes()
    return files


@pytest.fixture(autouse=True)
def _no_network_and_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network here")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", unreachable)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's folder, with small files whose checksums are the official ones for this test."""
    folder = tmp_path / "debian"
    folder.mkdir()
    resources = []
    for name, content in idx_files().items():
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    return folder


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """torchvision's folder."""
    folder = tmp_path / "data" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in idx_files().items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("source", ["debian", "unpacked"])
def test_grey_images_become_rgb(source: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(source)
    data = load_dataset("fashion-mnist")
    for split, part in (("train", data.train), ("t10k", data.test)):
        assert part.images.shape == (COUNTS[split], 28, 28, 3)
        for channel in range(3):
            np.testing.assert_array_equal(part.images[..., channel].numpy(), grey(split))
        assert part.labels.tolist() == list(range(COUNTS[split]))
    assert data.title == "Fashion-MNIST"
    assert data.mean[0] == pytest.approx(grey("train").mean(), abs=0.006)


def test_classes_are_the_official_ones() -> None:
    official = [name.lower().removesuffix("/top") for name in FashionMNIST.classes]
    assert list(open_source("fashion-mnist").classes) == official


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
@pytest.mark.parametrize("damage", ["cut short", "missing"])
def test_a_damaged_file_of_the_package_is_named(name: str, damage: str, debian: Path, message_of: MessageOf) -> None:
    path = debian / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    message = message_of(lambda: load_dataset("fashion-mnist"))
    assert str(path) in message
    assert "dataset-fashion-mnist" in message


def test_a_damaged_unpacked_file_is_named(unpacked: Path, message_of: MessageOf) -> None:
    path = unpacked / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])
    assert str(path.parent) in message_of(lambda: load_dataset("fashion-mnist"))


def test_without_data_and_network_it_says_what_helps(message_of: MessageOf, tmp_path: Path) -> None:
    message = message_of(lambda: load_dataset("fashion-mnist"))
    for part in (str(tmp_path / "data"), "no network here", "rotnet data fashion-mnist", "apt install dataset-fashion-mnist"):
        assert part in message


def test_the_package_helps_after_a_download_that_failed(message_of: MessageOf, request: pytest.FixtureRequest) -> None:
    """The advice of the failed attempt must hold: what it left behind is not in the way."""
    message_of(lambda: load_dataset("fashion-mnist"))
    request.getfixturevalue("debian")
    assert len(load_dataset("fashion-mnist").train) == 6


def test_another_image_size_is_refused(message_of: MessageOf) -> None:
    assert "image_size: fashion-mnist has 28 x 28 images, not 32" in message_of(lambda: open_source("fashion-mnist", 32))
