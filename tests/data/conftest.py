"""Folders of image files."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
