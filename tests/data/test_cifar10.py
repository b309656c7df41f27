"""`cifar10`: official files, a copy as a folder of images, or a download."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets.utils
from PIL import Image
from torchvision.datasets import CIFAR10

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.source import open_source
from rotnet_lib.data.spec import DataSpec

Folder = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network here")

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", unreachable)


def test_the_official_files_are_called_as_torchvision_calls_them() -> None:
    assert open_source("cifar10").fingerprint == f"cifar10-official-{CIFAR10.tgz_md5}"
    assert CIFAR10.base_folder == "cifar-10-batches-py"


@pytest.fixture
def copy(tmp_path: Path, folder: Folder) -> Path:
    """Two training images and one test image of each class, as PNG."""
    return folder(tmp_path / "data" / "cifar10", train=dict.fromkeys(CLASSES, 2), test=dict.fromkeys(CLASSES, 1))


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The official layout with 4 training and 2 test images; returns the training images, (4, 32, 32, 3)."""
    root = tmp_path / "data" / "cifar-10-batches-py"
    root.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    rows = images.transpose(0, 3, 1, 2).reshape(6, -1)  # all red, all green, all blue pixels of an image

    def write(name: str, content: object) -> str:
        (root / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((root / name).read_bytes()).hexdigest()

    train = [
        ["data_batch_1", write("data_batch_1", {"data": rows[:2], "labels": [6, 9]})],
        ["data_batch_2", write("data_batch_2", {"data": rows[2:4], "labels": [0, 4]})],
    ]
    test = [["test_batch", write("test_batch", {"data": rows[4:], "labels": [3, 8]})]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": write("batches.meta", {"label_names": list(CLASSES)})}
    for name, value in (("train_list", train), ("test_list", test), ("meta", meta)):
        monkeypatch.setattr(CIFAR10, name, value)
    return images[:4]


def test_a_copy_of_images_is_read(copy: Path) -> None:
    data = load_dataset(DataSpec("cifar10"))
    assert data.classes == CLASSES
    assert data.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert data.test.images.shape == (10, 32, 32, 3)
    np.testing.assert_array_equal(data.test.images[9].numpy(), np.asarray(Image.open(copy / "test" / "truck" / "0.png")))
    assert (data.mean, data.std) == ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))  # the protocol's, not the copy's


@pytest.mark.parametrize(("suffix", "title"), [(".png", "CIFAR-10 (image folder)"), (".jpg", "CIFAR-10 (JPEG copy)")])
def test_a_copy_is_named_as_one(suffix: str, title: str, tmp_path: Path, folder: Folder) -> None:
    one_each = dict.fromkeys(CLASSES, 1)
    folder(tmp_path / "data" / "cifar10", suffix=suffix, train=one_each, test=one_each)
    assert open_source("cifar10").title == title


def test_the_fingerprint_follows_the_files(copy: Path) -> None:
    before = open_source("cifar10").fingerprint
    assert open_source("cifar10").fingerprint == before
    Image.new("RGB", (32, 32)).save(copy / "test" / "frog" / "0.png")
    assert open_source("cifar10").fingerprint != before


@pytest.mark.parametrize(("found", "culprit"), [("plane", "airplane"), ("zebra", "truck")])
def test_wrong_classes_are_named(found: str, culprit: str, copy: Path, message_of: MessageOf) -> None:
    (copy / "train" / culprit).rename(copy / "train" / found)
    (copy / "test" / culprit).rename(copy / "test" / found)
    message = message_of(lambda: open_source("cifar10"))
    assert str(copy) in message
    assert f"class {min(found, culprit)}" in message
    assert ", ".join(CLASSES) in message


def test_a_class_missing_in_one_split_is_named(copy: Path, message_of: MessageOf) -> None:
    (copy / "test" / "frog").rename(copy / "frog")
    assert "frog" in message_of(lambda: open_source("cifar10"))


def test_a_copy_without_its_test_split(copy: Path, message_of: MessageOf) -> None:
    (copy / "test").rename(copy / "validation")
    assert f"no folder {copy}/test" in message_of(lambda: open_source("cifar10"))


def test_the_official_files_are_read(official: np.ndarray) -> None:
    data = load_dataset(DataSpec("cifar10"))
    assert data.title == "CIFAR-10"
    np.testing.assert_array_equal(data.train.images.numpy(), official)
    assert data.train.labels.tolist() == [6, 9, 0, 4]
    assert data.test.labels.tolist() == [3, 8]
    assert (data.mean, data.std) == ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))


def test_official_files_win_over_a_copy(official: np.ndarray, copy: Path) -> None:
    assert open_source("cifar10").title == "CIFAR-10"
    assert len(load_dataset(DataSpec("cifar10")).train) == 4


def test_a_damaged_official_file_is_not_taken(official: np.ndarray, tmp_path: Path, message_of: MessageOf) -> None:
    path = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(path.read_bytes()[:-100])
    assert str(path.parent.parent) in message_of(lambda: load_dataset(DataSpec("cifar10")))


def test_without_data_and_network_it_says_what_helps(message_of: MessageOf, tmp_path: Path) -> None:
    message = message_of(lambda: load_dataset(DataSpec("cifar10")))
    for part in (
        f"no cifar10 in {tmp_path / 'data'}",
        "no network here",
        "rotnet data cifar10",
        f"{tmp_path / 'data'}/cifar10/{{train,test}}/<class>/",
        "ROTNET_DATA",
        "DATASET=shapes",
    ):
        assert part in message


def test_another_image_size_is_refused(message_of: MessageOf) -> None:
    assert "image_size: cifar10 has 32 x 32 images, not 64" in message_of(lambda: open_source("cifar10", 64))
