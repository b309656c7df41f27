"""Which image files a split is made of."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from rotnet_lib.data import image_files
from rotnet_lib.data.opening import control_character, is_folder, names_in, scan, shown
from rotnet_lib.data.skipped import described, is_bystander, label_of, may_be_a_class
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import kind_of

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, SplitName] = ("train", "test")

_READ_WHOLE = 2**30
"""Bytes of files up to which a fingerprint is of their contents."""

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Of the files that are read, in lower case: those of `image_files.FORMATS`."""


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
        skipped: what else lies in the folder and is not read, a kind each: `".heic files: 3, such as train/cat/a.heic"`.
        places: (N,) int64, of a part the files' places in the whole split; None: it is the whole. See `original_places`.
    """

    root: str
    names: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    sizes: np.ndarray | None = None
    skipped: tuple[str, ...] = ()
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        return os.path.join(self.root, self.name(index))

    def name(self, index: int) -> str:
        return os.fsdecode(self.names[index])

    def part(self, kept: np.ndarray) -> "Listing":
        """The files at those places (n,), in their order."""
        sizes = None if self.sizes is None else self.sizes[kept]
        places = self.original_places[kept]
        return Listing(self.root, self.names[kept], self.labels[kept], self.classes, sizes, self.skipped, places)

    @property
    def original_places(self) -> np.ndarray:
        """The files' places in the whole split: (N,) int64."""
        return np.arange(len(self)) if self.places is None else self.places


def list_images(folder: Path) -> Listing:
    """The image files of `folder/<class>/`, sorted by class, then name.

    Raises RotnetError if the folder has no such layout, saying what was expected and what was found; for a class none of whose
    files is read; for a class whose name is no text in UTF-8 or holds a control character; for a link in place of a class that
    leads nowhere; for a folder that cannot be listed.
    """
    here = shown(folder)
    if not is_folder(folder):
        raise RotnetError(f"no folder {here}. Expected {here}/<class>/*.jpg, one folder per class.")
    kinds, skipped = _class_folders(folder)
    found: dict[str, list[tuple[str, int]]] = {}
    # No Path, nor any other object, is made and kept for each file: there may be millions.
    for kind in kinds:
        images, others = _files_of(folder, kind)
        if images:
            found[kind] = images
        elif others:
            _refuse_class(os.path.join(folder, kind), others)
        skipped += others
    if found and (empty := [kind for kind in kinds if kind not in found]):
        _refuse_class(os.path.join(folder, empty[0]), [])
    if not found:
        there = ", ".join(map(shown, names_in(folder)[:5])) or "nothing"
        raise RotnetError(f"no images in {here}. Expected {here}/<class>/*.jpg, found: {there}.")
    names = [np.array([os.fsencode(f"{kind}/{name}") for name, _ in files]) for kind, files in found.items()]
    counts = [len(files) for files in found.values()]
    return Listing(
        str(folder),
        np.concatenate(names),
        np.repeat(np.arange(len(found)), counts),
        tuple(found),
        np.concatenate([np.array([size for _, size in files], np.int64) for files in found.values()]),
        described((label, os.path.join(os.path.basename(folder), name)) for label, name in skipped),
    )


def same_classes(listings: Mapping[SplitName, Listing], root: Path) -> tuple[str, ...]:
    """The classes of the splits below `root`. Raises RotnetError naming those that not all of them have."""
    kinds = [listing.classes for listing in listings.values()]
    odd = sorted(set().union(*kinds).difference(*[set.intersection(*map(set, kinds))]))
    if odd:
        counts = " and ".join(f"{len(of_split)} in {split}" for split, of_split in zip(listings, kinds, strict=True))
        raise RotnetError(f"the splits of {root} differ in their classes ({counts}): {', '.join(odd[:5])} in only one of them.")
    return kinds[0]


def fingerprint(listings: Mapping[SplitName, Listing], side: int, version: int | None = None) -> str:
    """Hex digest over split, class, name and content of every file, and over how the files are decoded.

    `version` is that of `image_files`; None: today's.

    Of more than 1 GiB of files the sizes count in place of the contents, which take too long to read at every start: there
    an image that was changed without a change of its size goes unnoticed. Where nobody looked at the sizes, only names count.
    """
    digest = hashlib.sha256(f"{version or image_files.VERSION} {side}".encode())
    known = [listing.sizes for listing in listings.values() if listing.sizes is not None]
    whole = len(known) == len(listings) and sum(int(sizes.sum()) for sizes in known) <= _READ_WHOLE
    for split, listing in listings.items():
        for index, label in enumerate(listing.labels.tolist()):
            name = os.path.basename(listing.name(index))
            digest.update(f"{split}/{listing.classes[label]}/{name}\n".encode(errors="surrogateescape"))
            if whole:
                digest.update(_digest(listing.path(index)))
            elif listing.sizes is not None:
                digest.update(f"{listing.sizes[index]}\n".encode())
    return digest.hexdigest()


_Skipped = list[tuple[str, str]]
"""What is not read: what it is (see `label_of`), and its path below the split's folder."""


def _class_folders(folder: Path) -> tuple[list[str], _Skipped]:
    """Names of the classes' folders, sorted; and the images that lie beside them. Raises RotnetError as `list_images`."""
    kinds, skipped = [], []
    with scan(folder) as entries:
        for entry in entries:
            if is_bystander(entry.name):
                if may_be_a_class(entry.name) and _has_images(entry.path):
                    skipped.append(("hidden folders with images", entry.name))
                continue
            status = _status(entry)
            if status is not None and kind_of(status.st_mode) == "folder":
                kinds.append(entry.name)
            elif entry.name.lower().endswith(EXTENSIONS):
                skipped.append(("images in no class's folder", entry.name))
            elif status is None:
                raise RotnetError(
                    f"{shown(entry.path)} is a link that leads nowhere. If a class's folder was there, that class would be "
                    "missing: restore what it leads to, or remove the link."
                )
    for kind in kinds:
        if shown(kind) != kind:
            odd = control_character(kind)
            what = f"holds the control character {odd}" if odd else "is no text in UTF-8"
            raise RotnetError(f"the name of the class folder {shown(os.path.join(folder, kind))} {what}. Rename that folder.")
    return sorted(kinds), skipped


def _has_images(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.lower().endswith(EXTENSIONS) for entry in entries if not is_bystander(entry.name))
    except OSError:  # a file, or a folder of the system that only root may list
        return False


def _files_of(folder: Path, kind: str) -> tuple[list[tuple[str, int]], _Skipped]:
    """Names and sizes in bytes of a class's images, sorted by name; and what else is in its folder."""
    images, skipped = [], []
    with scan(os.path.join(folder, kind)) as entries:
        for entry in entries:
            if is_bystander(entry.name):
                continue
            named = entry.name.lower().endswith(EXTENSIONS)
            status = _status(entry)
            if named and (status is None or kind_of(status.st_mode) is None):
                # -1 of a link that leads nowhere, which whoever decodes the file will name.
                images.append((entry.name, -1 if status is None else status.st_size))
            else:
                skipped.append((label_of(entry.name, status and status.st_mode), f"{kind}/{entry.name}"))
    return sorted(images), skipped


def _refuse_class(folder: str, others: _Skipped) -> NoReturn:
    found = "; ".join(described((label, os.path.basename(name)) for label, name in others)) or "nothing"
    if any(label == "folders" for label, _ in others):
        remedy = "Images lie directly in the folder of their class: move those in the folders below up"
    else:
        remedy = f"Read are {', '.join(EXTENSIONS)}: convert the files, or take the folder away"
    raise RotnetError(
        f"no file in {shown(folder)} is read as an image, so that its class would be missing. Found {found}. {remedy}."
    )


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What is known of the file that an entry leads to; None where it cannot be asked, as of a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None


def _digest(path: str) -> bytes:
    """The SHA-256 of a file's content; that of nothing if it cannot be read, which whoever decodes the file will say."""
    try:
        if kind_of(os.stat(path).st_mode) is None:
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        pass
    return hashlib.sha256().digest()
