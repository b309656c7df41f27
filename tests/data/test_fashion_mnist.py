"""`fashion-mnist`: torchvision's files, Debian's package, or a download."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets.utils
from torchvision.datasets import FashionMNIST

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.source import open_source
from rotnet_lib.data.spec import DataSpec

MessageOf = Callable[[Callable[[], object]], str]
Contents = dict[str, bytes]


@pytest.fixture(autouse=True)
def _no_network(small_fashion_mnist: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network here")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", unreachable)


@pytest.fixture
def debian(tmp_path: Path, small_fashion_mnist: Contents) -> Path:
    """The package's folder."""
    return write(tmp_path / "debian", small_fashion_mnist, packed=True)


@pytest.fixture
def unpacked(tmp_path: Path, small_fashion_mnist: Contents) -> Path:
    """torchvision's folder."""
    return write(tmp_path / "data" / "FashionMNIST" / "raw", small_fashion_mnist)


@pytest.fixture
def packed(tmp_path: Path, small_fashion_mnist: Contents) -> Path:
    """torchvision's folder, as the archives were put there by hand."""
    return write(tmp_path / "data" / "FashionMNIST" / "raw", small_fashion_mnist, packed=True)


def write(folder: Path, contents: Contents, *, packed: bool = False) -> Path:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("source", ["debian", "unpacked", "packed"])
def test_grey_images_become_rgb(source: str, small_fashion_mnist: Contents, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(source)
    data = load_dataset(DataSpec("fashion-mnist"))
    for split, count, part in (("train", 6, data.train), ("t10k", 4, data.test)):
        grey = np.frombuffer(small_fashion_mnist[f"{split}-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 28, 28)
        assert part.images.shape == (count, 28, 28, 3)
        for channel in range(3):
            np.testing.assert_array_equal(part.images[..., channel].numpy(), grey)
        assert part.labels.tolist() == list(range(count))
    assert data.title == "Fashion-MNIST"
    pixels = np.frombuffer(small_fashion_mnist["train-images-idx3-ubyte"], np.uint8, offset=16)
    assert data.mean[0] == pytest.approx(pixels.mean(), abs=0.006)


def test_what_is_missing_is_downloaded_and_nothing_else(
    unpacked: Path, small_fashion_mnist: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    (unpacked / "t10k-labels-idx1-ubyte").unlink()
    asked = []

    def download(url: str, root: str, filename: str, md5: str) -> None:
        asked.append((url, md5))
        name = url.rpartition("/")[2].removesuffix(".gz")
        Path(root, filename).write_bytes(gzip.compress(small_fashion_mnist[name]))

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download)
    assert load_dataset(DataSpec("fashion-mnist")).test.labels.tolist() == [0, 1, 2, 3]
    name = "t10k-labels-idx1-ubyte.gz"
    assert asked == [(FashionMNIST.mirrors[0] + name, dict(FashionMNIST.resources)[name])]
    assert sorted(path.name for path in unpacked.glob("t10k-labels*")) == [name]


def test_a_download_that_breaks_off_leaves_no_part_of_a_file(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch, message_of: MessageOf
) -> None:
    (unpacked / "t10k-labels-idx1-ubyte").unlink()
    before = sorted(unpacked.iterdir())

    def break_off(url: str, root: str, filename: str, md5: str) -> None:
        Path(root, filename).write_bytes(b"half a file")
        raise URLError("the line went dead")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", break_off)
    assert "the line went dead" in message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    assert sorted(unpacked.iterdir()) == before


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
    message = message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    assert str(path) in message
    assert "dataset-fashion-mnist" in message


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda good: b"", "it begins with nothing"),
        (lambda good: good[:-1], "it is cut short: 13 bytes of 14"),
        (lambda good: good + b"x", "it goes on after its end"),
        (
            lambda good: b"\0\0\x08\x03" + good[4:],
            "it begins with 00000803 00000006, but one of 6 bytes begins with 00000801 0",
        ),
        (lambda good: b"\0\0\x0d\x01" + good[4:], "it begins with 00000d01 00000006"),
        (lambda good: good[:4] + b"\xff\xff\xff\xff" + good[8:], "it begins with 00000801 ffffffff"),
        (lambda good: good[:7] + b"\4" + good[8:12], "it begins with 00000801 00000004"),
        (lambda good: gzip.compress(good)[:-9], "what gzip has compressed is cut short"),
        (lambda good: gzip.compress(good)[:10] + b"\xff" * 40, "Error -3 while decompressing data"),
        (lambda good: good[:-1] + b"\x0a", "its checksum is not that of Fashion-MNIST"),
        (lambda good: gzip.compress(good[:-1] + b"\x03"), "its checksum is not that of Fashion-MNIST"),
    ],
    ids=["empty", "short", "long", "images", "floats", "more", "fewer", "packed short", "packed badly", "no class", "wrong"],
)
def test_what_is_wrong_in_an_unpacked_file_is_said(
    damage: Callable[[bytes], bytes], says: str, unpacked: Path, message_of: MessageOf
) -> None:
    path = unpacked / "train-labels-idx1-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    message = message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    assert message.startswith(f"damaged file {path}: {says}")
    assert "rotnet data fashion-mnist" in message


def test_a_gzip_bomb_is_unpacked_no_further_than_the_file_should_go(packed: Path, message_of: MessageOf) -> None:
    path = packed / "train-labels-idx1-ubyte.gz"
    packer = zlib.compressobj(9, wbits=31)
    header = np.array([0x801, 6], ">u4").tobytes()
    path.write_bytes(packer.compress(header) + b"".join(packer.compress(bytes(2**20)) for _ in range(40)) + packer.flush())
    assert path.stat().st_size < 2**16
    message = message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    assert message.startswith(f"damaged file {path}: it goes on after its end.")


def test_without_data_and_network_it_says_what_helps(message_of: MessageOf, tmp_path: Path) -> None:
    message = message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    for part in (str(tmp_path / "data"), "no network here", "rotnet data fashion-mnist", "apt install dataset-fashion-mnist"):
        assert part in message


def test_the_package_helps_after_a_download_that_failed(message_of: MessageOf, request: pytest.FixtureRequest) -> None:
    """The advice of the failed attempt must hold: what it left behind is not in the way."""
    message_of(lambda: load_dataset(DataSpec("fashion-mnist")))
    request.getfixturevalue("debian")
    assert len(load_dataset(DataSpec("fashion-mnist")).train) == 6


def test_another_image_size_is_refused(message_of: MessageOf) -> None:
    assert "image_size: fashion-mnist has 28 x 28 images, not 32" in message_of(lambda: open_source("fashion-mnist", 32))
