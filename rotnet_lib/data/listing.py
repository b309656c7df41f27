"""Which image files a split is made of."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rotnet_lib.errors import RotnetError

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, SplitName] = ("train", "test")

_DECODING = 1
"""Part of the fingerprint: raise it when `decode_square` comes to give other pixels."""

_READ_WHOLE = 2**30
"""Bytes of files up to which a fingerprint is of their contents."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Listing:
    """The image files of a split.

    Attributes:
        root: the folder they lie in.
        names: (N,) bytes, paths below it as the file system has them. An array, not a list: worker processes share its
            memory, while merely counting the references to a Python object copies the page it lies on.
        labels: (N,) int64, places in `classes`.
        classes: their names.
        sizes: (N,) int64, bytes; None where nobody looked.
    """

    root: str
    names: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    sizes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        return os.path.join(self.root, self.name(index))

    def name(self, index: int) -> str:
        return os.fsdecode(self.names[index])

    def part(self, kept: np.ndarray) -> "Listing":
        """The files at those places (n,), in their order."""
        sizes = None if self.sizes is None else self.sizes[kept]
        return Listing(self.root, self.names[kept], self.labels[kept], self.classes, sizes)


def list_images(folder: Path) -> Listing:
    """The image files of `folder/<class>/`, sorted by class, then name.

    Raises RotnetError if the folder has no such layout, saying what was expected and what was found.
    """
    if not folder.is_dir():
        raise RotnetError(f"no folder {folder}. Expected {folder}/<class>/*.jpg, one folder a class.")
    kinds = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    # No Path, nor any other object, is made and kept for each file: there may be millions.
    found = {kind: files for kind in kinds if (files := _files_of(os.path.join(folder, kind)))}
    if not found:
        there = ", ".join(sorted(entry.name for entry in os.scandir(folder))[:5]) or "nothing"
        raise RotnetError(f"no images in {folder}. Expected {folder}/<class>/*.jpg, found: {there}.")
    names = [np.array([os.fsencode(f"{kind}/{name}") for name, _ in files]) for kind, files in found.items()]
    counts = [len(files) for files in found.values()]
    return Listing(
        str(folder),
        np.concatenate(names),
        np.repeat(np.arange(len(found)), counts),
        tuple(found),
        np.concatenate([np.array([size for _, size in files], np.int64) for files in found.values()]),
    )


def same_classes(listings: Mapping[SplitName, Listing], root: Path) -> tuple[str, ...]:
    """The classes of the splits below `root`. Raises RotnetError naming those that not all of them have."""
    kinds = [listing.classes for listing in listings.values()]
    odd = sorted(set().union(*kinds).difference(*[set.intersection(*map(set, kinds))]))
    if odd:
        counts = " and ".join(f"{len(of_split)} in {split}" for split, of_split in zip(listings, kinds, strict=True))
        raise RotnetError(f"the splits of {root} differ in their classes ({counts}): {', '.join(odd[:5])} in only one of them.")
    return kinds[0]


def fingerprint(listings: Mapping[SplitName, Listing], side: int) -> str:
    """Hex digest over split, class, name and content of every file, and over how the files are decoded.

    Of more than 1 GiB of files the sizes count in place of the contents, which take too long to read at every start: there
    an image that was changed without a change of its size goes unnoticed. Where nobody looked at the sizes, only names count.
    """
    digest = hashlib.sha256(f"{_DECODING} {side}".encode())
    known = [listing.sizes for listing in listings.values() if listing.sizes is not None]
    whole = len(known) == len(listings) and sum(int(sizes.sum()) for sizes in known) <= _READ_WHOLE
    for split, listing in listings.items():
        for index, label in enumerate(listing.labels.tolist()):
            name = os.path.basename(listing.name(index))
            digest.update(f"{split}/{listing.classes[label]}/{name}\n".encode(errors="surrogateescape"))
            if whole:
                digest.update(hashlib.sha256(_content(listing.path(index))).digest())
            elif listing.sizes is not None:
                digest.update(f"{listing.sizes[index]}\n".encode())
    return digest.hexdigest()


def _files_of(folder: str) -> list[tuple[str, int]]:
    """Names and sizes in bytes of a folder's images, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry.name, _size(entry))
            for entry in entries
            if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith(".")
        )


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a file; -1 of a link that leads nowhere, which whoever decodes the file will name."""
    try:
        return entry.stat().st_size
    except OSError:
        return -1


def _content(path: str) -> bytes:
    """A file's bytes; none of one that cannot be read, which whoever decodes the file will name."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
