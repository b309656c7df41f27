"""What a dataset has to offer, and the register of those there are.

A new dataset is one file with a class of this shape under `@DATASETS.register("name")`, and its import in
`rotnet_lib/data/__init__.py`.
"""

import os
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from rotnet_lib.paths import from_project
from rotnet_lib.registry import Registry

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, SplitName] = ("train", "test")


Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of the RGB channels, of 255."""


class Source(Protocol):
    """A dataset that can be decoded as a whole into memory.

    Attributes:
        title: the data's name in a report (`"CIFAR-10 (JPEG copy)"`).
        classes: class names; the label of class i is i.
        image_size: side of the square images that `decode` gives, in pixels.
        fingerprint: changes when the images, their labels or their decoding change. Known without decoding.
        statistics: mean and standard deviation of the RGB channels, of 255, where the protocol states them; None: they
            are computed from the training images.
        generated: whether there are as many images as one asks for.
        cached: whether decoding takes long enough to be worth doing once for all runs.
    """

    title: str
    classes: tuple[str, ...]
    image_size: int
    fingerprint: str
    statistics: Statistics | None
    generated: bool
    cached: bool

    def __init__(self, argument: str, image_size: int | None) -> None:
        """`argument` is what stands behind the colon of the dataset's name (`imagefolder:/path`), often nothing.

        Raises RotnetError if the data is not there and cannot be brought, saying what brings it.
        """

    def location(self) -> str:
        """Where the images are, or where they come from."""

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, S, S, 3) uint8 RGB and labels (N,) int64, all of the split or at least its first `count`
        images balanced over classes (`count` spares a generated dataset needless work; others may ignore it).
        """


DATASETS = Registry[type[Source]]("dataset")


def data_root() -> Path:
    """`ROTNET_DATA`, by default `data/`: where datasets lie in their usual layouts."""
    return from_project(os.environ.get("ROTNET_DATA") or "data")


def cache_root() -> Path:
    """`ROTNET_CACHE`, by default `.cache` in the data folder: where decoded datasets are kept."""
    return from_project(os.environ.get("ROTNET_CACHE") or data_root() / ".cache")
