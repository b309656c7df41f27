"""Folders of image files, and a small Fashion-MNIST."""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data import fashion_mnist
from rotnet_lib.data.fashion_mnist import IdxFile
from rotnet_lib.errors import RotnetError

Folder = Callable[..., Path]


@pytest.fixture
def folder() -> Folder:
    """Writes `root/<split>/<class>/<number><suffix>`, every image noise of its own: `folder(root, train={"cat": 3})`."""

    def write(root: Path, suffix: str = ".png", size: int = 32, **splits: dict[str, int]) -> Path:
        for split, classes in splits.items():
            for name, count in classes.items():
                (root / split / name).mkdir(parents=True)
                for number in range(count):
                    path = root / split / name / f"{number}{suffix}"
                    noise = np.random.default_rng(zlib.crc32(f"{split}{name}{number}".encode()))
                    Image.fromarray(noise.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
        return root

    return write


@pytest.fixture
def message_of() -> Callable[[Callable[[], object]], str]:
    """The message of the RotnetError that a call raises."""

    def call(function: Callable[[], object]) -> str:
        with pytest.raises(RotnetError) as error:
            function()
        return str(error.value)

    return call


@pytest.fixture
def small_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Makes a Fashion-MNIST of 6 and 4 images the official one, and gives its files: name -> content, not compressed."""
    contents: dict[str, bytes] = {}

    def file(name: str, numbers: np.ndarray) -> IdxFile:
        header = np.array([0x800 | numbers.ndim, *numbers.shape], ">u4").tobytes()
        contents[name] = header + numbers.tobytes()
        return IdxFile(name, numbers.shape, hashlib.sha256(contents[name]).hexdigest())

    def files(split: str, count: int) -> tuple[IdxFile, IdxFile]:
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        return file(f"{split}-images-idx3-ubyte", images), file(f"{split}-labels-idx1-ubyte", labels)

    monkeypatch.setattr(fashion_mnist, "FILES", {"train": files("train", 6), "test": files("t10k", 4)})
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    return contents
