"""The lists of a set in VOC's layout: which images a split is made of, and whether their files are there."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rotnet_lib.data.opening import is_there, read_file, read_lines, scan, shown
from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES, MASKS
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import kind_of
from rotnet_lib.paths import LONGEST_NAME

READ_WHOLE = 2**26
"""Bytes of files up to which a fingerprint is of their contents."""

_MOST = 2**24
"""Bytes of a list, of two million ids."""
_EXPECTED = "Expected one image id per line."

_SUFFIXES = {IMAGES: ".jpg", ANNOTATIONS: ".xml", MASKS: ".png"}


_OTHER_SUFFIXES = (".jpg", ".jpeg", ".JPG", ".JPEG", ".png", ".PNG", ".bmp", ".tif", ".tiff", ".txt", ".json")
"""Suffixes that other tools write."""

_LONGEST_ID = LONGEST_NAME - max(map(len, _SUFFIXES.values()))
"""Bytes."""


@dataclass(frozen=True)
class Lists:
    """Where a task's splits are listed.

    Attributes:
        folder: in VOC's layout.
        kind: the folder below `ImageSets` (`"Main"`).
        splits: names of the training and the test split.
        needed: the folders in which each listed image must have a file.
    """

    folder: Path
    kind: str
    splits: tuple[str, str]
    needed: tuple[str, ...]

    def path(self, split: str) -> Path:
        return self.folder / "ImageSets" / self.kind / f"{split}.txt"

    def read(self) -> list[tuple[str, ...]]:
        """The image ids of both splits, in the lists' order.

        Raises RotnetError naming file and line: no such list, what is no id, one that stands there twice or has a file missing.
        """
        return [tuple(ids) for ids, _ in self._found()]

    def fingerprint(self, *other: bytes) -> str:
        """Hex digest over both lists and the content of every needed file; `other` goes in too.

        Of more than 64 MiB of files, as the real sets are, names and sizes count in place of the contents, which take too
        long to read whenever a run is named: there a file that was changed without a change of its size goes unnoticed.
        """
        digest = hashlib.sha256(b"voc 1")
        for part in other:
            digest.update(hashlib.sha256(part).digest())
        found = self._found()
        whole = (
            sum(size for ids, sizes in found for kind in self.needed for size in (sizes[kind][id_] for id_ in ids))
            <= READ_WHOLE
        )
        for split, (ids, sizes) in zip(("train", "test"), found, strict=True):
            for id_ in ids:
                digest.update(f"{split}/{id_}\n".encode())
                for kind in self.needed:
                    path = self.folder / kind / f"{id_}{_SUFFIXES[kind]}"
                    if whole:
                        digest.update(hashlib.sha256(read_file(path, "Put the original there.", READ_WHOLE)).digest())
                    else:
                        digest.update(f"{sizes[kind][id_]}\n".encode())
        return digest.hexdigest()

    def _found(self) -> list[tuple[dict[str, int], dict[str, dict[str, int]]]]:
        """Of both splits the ids with their lines, and the sizes of all files of each needed folder."""
        sizes = {kind: sizes_in(self.folder / kind, _SUFFIXES[kind]) for kind in self.needed}
        found = []
        for split in self.splits:
            ids = read_list(self.path(split))
            for kind in self.needed:
                what = {IMAGES: "image", ANNOTATIONS: "annotation", MASKS: "mask"}[kind]
                check_files(self.path(split), ids, what, self.folder / kind, _SUFFIXES[kind], sizes[kind])
            found.append((ids, sizes))
        return found


def read_list(path: Path) -> dict[str, int]:
    """The image ids of a list and the lines (from 1) they stand on. Raises RotnetError naming file and line."""
    ids: dict[str, int] = {}
    for number, line in read_lines(path, _EXPECTED, _MOST):
        if len(line.split()) > 1 or "/" in line or line in (".", "..") or len(os.fsencode(line)) > _LONGEST_ID:
            raise RotnetError(
                f"{shown(path)}, line {number}: '{line[:80]}' is no image's id. Expected one per line, such as 000005: the "
                f"name of its file without the folder and {_SUFFIXES[IMAGES]}."
            )
        if line in ids:
            raise RotnetError(f"{shown(path)}, line {number}: image {line} is on line {ids[line]} already. Take one out.")
        ids[line] = number
    if not ids:
        raise RotnetError(f"{shown(path)} is empty: the split has no images. {_EXPECTED}")
    return ids


def check_files(path: Path, ids: Mapping[str, int], what: str, folder: Path, suffix: str, sizes: Mapping[str, int]) -> None:
    """Raises RotnetError naming file and line if an image of a list lacks a file.

    Args:
        path: the list.
        ids: the images' ids and their lines in it (`read_list`).
        what: the files are called: mask.
        folder, suffix: where each image must have one.
        sizes: of the files that are there (`sizes_in`).
    """
    missing = [id_ for id_ in ids if id_ not in sizes]
    if missing:
        first = missing[0]
        count = "the only one" if len(missing) == 1 else f"the first of {len(missing)}"
        other = next((kind for kind in _OTHER_SUFFIXES if kind != suffix and is_there(folder / f"{first}{kind}")), "")
        verb = "Rename" if other.lower().replace("jpeg", "jpg") == suffix else "Convert"
        remedy = f"{verb} {first}{other} to {suffix}" if other else "Put the files there"
        raise RotnetError(
            f"{path}, line {ids[first]}: there is no {what} {folder / first}{suffix}, "
            f"{count} missing of the {len(ids)} listed. {remedy}, or take their lines out of the list."
        )


def sizes_in(folder: Path, suffix: str) -> dict[str, int]:
    """Bytes of the files of a folder by their names without the suffix; none if there is no such folder.

    Raises RotnetError if it cannot be listed.
    """
    sizes: dict[str, int] = {}
    if not is_there(folder):
        return sizes
    with scan(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                try:
                    status = entry.stat()
                except OSError:  # a link that leads nowhere: nothing is there
                    continue
                if kind_of(status.st_mode) is None:
                    sizes[entry.name.removesuffix(suffix)] = status.st_size
    return sizes
