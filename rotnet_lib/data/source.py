"""What a dataset has to offer, and the register of those there are.

A new dataset is one file with a subclass of `Source` under `@DATASETS.register("name")`, and its import in
`rotnet_lib/data/__init__.py`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from rotnet_lib.data.listing import Listing, SplitName, fingerprint
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.paths import from_project
from rotnet_lib.registry import Registry

Argument = Literal["none", "folder", "number"]
"""What follows the colon in the name of a set of images: nothing, a folder, or optionally a number."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of the RGB channels, of 255."""

IMAGENET_STATISTICS: Statistics = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Of ImageNet's training images, as everybody uses them (and the authors for Places205 too)."""


QUICK = "PRESET=quick needs no data."
"""What may be done without a dataset that cannot be downloaded here."""


class Counts(NamedTuple):
    """How large a dataset is."""

    train: int
    test: int
    classes: int


class Source:
    """A dataset, not yet decoded.

    Made of image files, which `files` lists and `load_dataset` decodes, or of something else, which `decode` turns into
    images.

    Attributes:
        title: the data's name in a report (`"CIFAR-10 (JPEG copy)"`).
        classes: class names; the label of class i is i.
        image_size: S, side of the square images that a network sees, in pixels.
        side: R, at least S: what the shorter side is resized to before S pixels are cut out; of the images of `decode`.
        fingerprint: changes when the images, their labels or their decoding change. Known without decoding.
        files: the image files of both splits; empty where the dataset is not made of files.
        statistics: mean and standard deviation of the RGB channels, of 255, where the protocol states them; None: they
            are computed from the training images.
        generated: whether there are as many images as one asks for.
        cached: whether decoding takes long enough to be worth doing once for all runs.
        streamed: whether the images do not fit in memory and are decoded batch by batch.
        argument: what follows the colon in the dataset's name.
        published_title: the name under which published figures give results on this data; None: none do.
        published_aliases: what else titles and rows of published tables call that data.
        published: counts of the whole set that those figures are of.
        usual_size: S where none is asked for, in pixels.
    """

    title: str
    classes: tuple[str, ...]
    image_size: int
    side: int
    fingerprint: str
    files: Mapping[SplitName, Listing] = {}
    statistics: Statistics | None = None
    generated: ClassVar[bool] = False
    cached: bool = True
    streamed: ClassVar[bool] = False
    argument: ClassVar[Argument] = "none"
    published_title: ClassVar[str | None] = None
    published_aliases: ClassVar[tuple[str, ...]] = ()
    published: ClassVar[Counts | None] = None
    usual_size: ClassVar[int]

    @classmethod
    def spoken(cls, argument: str) -> str | None:
        """What a title calls the data, where `title` says more than fits there; None: `title`.

        Args:
            argument: what follows the colon in the dataset's name.
        """
        return None

    @classmethod
    def count(cls, argument: str) -> tuple[int, int] | None:
        """How many training and test images the user's own data has, without reading any; None: the data is not the user's own.

        Args:
            argument: what follows the colon in the dataset's name.

        Raises RotnetError if the data is missing.
        """
        return None

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        """`argument` is what follows the colon in the dataset's name (`imagefolder:/path`), "" if there is none.

        Raises RotnetError if the data is missing and cannot be downloaded. The message says how to get it.
        """
        raise NotImplementedError

    def location(self) -> str:
        """Where the images are, or where they come from."""
        raise NotImplementedError

    def fingerprint_of(self, version: int) -> str:
        """The fingerprint of the same data by a version of `image_files`. What is not made of files has one by all versions."""
        return fingerprint(self.files, self.side, version) if self.files else self.fingerprint

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, R, R, 3) uint8 RGB and labels (N,) int64, all of the split or at least its first `count`
        images balanced over classes (`count` spares a generated dataset needless work; others may ignore it).
        """
        raise NotImplementedError


DATASETS = Registry[type[Source]]("dataset")


class _TakesArgument(Protocol):
    argument: ClassVar[Argument]


T = TypeVar("T", bound=_TakesArgument)


def split_name(name: str, registry: Registry[type[T]], folder: str = "/path") -> tuple[type[T], str]:
    """The class that a name such as `imagefolder:/path` or `shapes:1` refers to, and its argument, "" if there is none.

    Args:
        name: as a user gives it.
        registry: of the classes.
        folder: an example of a folder, for the message.

    Raises RotnetError if the class is unknown, its argument is missing, or an argument is given to a class that takes none.
    """
    kind, colon, argument = name.partition(":")
    if kind not in registry:
        known = (f"{other}:/path" if registry[other].argument == "folder" else other for other in registry)
        raise RotnetError(f"{unknown(registry.kind, name, known)}{own_folder(name, registry)}")
    takes = registry[kind].argument
    if (takes == "folder" and not argument) or (takes == "none" and argument) or (colon and not argument):
        remedy = f"give its folder: {kind}:{folder}" if takes == "folder" else f"write just {kind}"
        raise RotnetError(f"{registry.kind} '{name}' is not complete or too long: {remedy}.")
    return registry[kind], argument


def own_folder(name: str, registry: Registry[type[T]]) -> str:
    """The end of an error about an unknown name that looks like a folder: how to name that folder. Empty for other names."""
    kinds = [kind for kind in registry if registry[kind].argument == "folder"]
    return f" A folder of your own: {kinds[0]}:{name}." if kinds and "/" in name.partition(":")[0] else ""


def resized_side(image_size: int, crop_pct: float) -> int:
    """R: what the shorter side is resized to so that S = `image_size` pixels are `crop_pct` of it. 256 for 224, 0.875."""
    return round(image_size / crop_pct)


def fixed_size(name: str, side: int, image_size: int | None, crop_pct: float) -> int:
    """S of a dataset whose images are all `side` pixels wide. Raises RotnetError if another is asked for."""
    shown = round(side * crop_pct)
    if image_size not in (None, shown):
        cut = f", of which crop_pct {crop_pct:g} leaves {shown}" if shown != side else ""
        raise RotnetError(f"image_size: {name} has {side} x {side} images{cut}, not {image_size}. Leave it out.")
    return shown


def data_root() -> Path:
    """`ROTNET_DATA`, by default `data/`: where datasets lie in their usual layouts."""
    return from_project(os.environ.get("ROTNET_DATA") or "data")


def cache_root() -> Path:
    """`ROTNET_CACHE`, by default `.cache` in the data folder: where decoded datasets are kept."""
    return from_project(os.environ.get("ROTNET_CACHE") or data_root() / ".cache")


def open_source(name: str, image_size: int | None = None, crop_pct: float = 1.0) -> Source:
    """The dataset of that name, not yet decoded.

    Args:
        name: `cifar10`, `imagefolder:/path` ...
        image_size: S, side of what a network sees, in pixels; None: the dataset's own.
        crop_pct: S over the side that images are resized to first.

    Raises:
        RotnetError: there is no such dataset, or its data is missing; the message says how to get it.
    """
    source, argument = split_name(name, DATASETS)
    return source(argument, image_size, crop_pct)
