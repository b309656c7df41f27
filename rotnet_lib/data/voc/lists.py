"""The lists of a set in VOC's layout: which images a split is made of, and whether their files are there."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES, MASKS
from rotnet_lib.errors import RotnetError

READ_WHOLE = 2**26
"""Bytes of files up to which a fingerprint is of their contents."""

_SUFFIXES = {IMAGES: ".jpg", ANNOTATIONS: ".xml", MASKS: ".png"}


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

        Raises RotnetError naming file and line: no such list, one that is empty or has an id twice, a file missing.
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
                    digest.update(hashlib.sha256(path.read_bytes()).digest() if whole else f"{sizes[kind][id_]}\n".encode())
        return digest.hexdigest()

    def _found(self) -> list[tuple[dict[str, int], dict[str, dict[str, int]]]]:
        """Of both splits the ids with their lines, and the sizes of all files of each needed folder."""
        sizes = {kind: _sizes(self.folder / kind, _SUFFIXES[kind]) for kind in self.needed}
        found = []
        for split in self.splits:
            ids = read_list(self.path(split))
            for kind in self.needed:
                self._check(self.path(split), ids, kind, sizes[kind])
            found.append((ids, sizes))
        return found

    def _check(self, path: Path, ids: Mapping[str, int], kind: str, sizes: Mapping[str, int]) -> None:
        missing = [id_ for id_ in ids if id_ not in sizes]
        if missing:
            what = {IMAGES: "image", ANNOTATIONS: "annotation", MASKS: "mask"}[kind]
            count = "the only one" if len(missing) == 1 else f"the first of {len(missing)}"
            raise RotnetError(
                f"{path}, line {ids[missing[0]]}: there is no {what} {self.folder / kind / missing[0]}{_SUFFIXES[kind]}, "
                f"{count} missing of the {len(ids)} listed. Put the files there, or take their lines out of the list."
            )


def read_list(path: Path) -> dict[str, int]:
    """The image ids of a list and the lines (from 1) they stand on. Raises RotnetError naming file and line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # -sig: Windows editors put a mark in front
    except OSError as error:
        raise RotnetError(
            f"cannot read the list of a split, {path}: {error.strerror}. Expected an image's id a line."
        ) from None
    except UnicodeDecodeError as error:
        raise RotnetError(f"{path} is no text: {error}. Expected an image's id a line.") from None
    ids: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        words: Sequence[str] = line.split()
        if not words:
            continue
        if len(words) > 1:
            raise RotnetError(
                f"{path}, line {number}: '{line.strip()[:80]}' is no image's id. Expected one a line, such as 000005."
            )
        if words[0] in ids:
            raise RotnetError(f"{path}, line {number}: image {words[0]} stands on line {ids[words[0]]} already. Take one out.")
        ids[words[0]] = number
    if not ids:
        raise RotnetError(f"{path} is empty: the split has no images. Expected an image's id a line.")
    return ids


def _sizes(folder: Path, suffix: str) -> dict[str, int]:
    """Bytes of the files of a folder by their names without the suffix; none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            files = (entry for entry in entries if entry.name.endswith(suffix) and entry.is_file())
            return {entry.name.removesuffix(suffix): entry.stat().st_size for entry in files}
    except FileNotFoundError:
        return {}
