"""`places205`: photographs of places, listed by the authors' split files."""

import codecs
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rotnet_lib.data import image_files
from rotnet_lib.data.listing import SPLITS, Listing, SplitName
from rotnet_lib.data.opening import is_folder, is_there, read_file, shown
from rotnet_lib.data.source import DATASETS, IMAGENET_STATISTICS, QUICK, Counts, Source, data_root, resized_side
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import LONGEST_NAME

_SPLIT_FILES: dict[SplitName, str] = {"train": "train_places205.csv", "test": "val_places205.csv"}
_EXPECTED = "Expected lines of an image's path below the images' folder and its label."
_MOST = 2**29
"""Bytes of a split file; that of all training images has some 10**8."""
_MOST_LINES = 10**7
"""Of a split file: four times as many as there are."""
_DIGITS = 6
"""Of a label."""
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\n")
"""Characters that no path may hold."""
_Listed = tuple[np.ndarray, np.ndarray, bytes]
"""Of a split file: image paths (N,) bytes, labels (N,) int64, the SHA-256 of its content."""
_IMAGES = ("data/vision/torralba/deeplearning/images256", "images256")


@DATASETS.register("places205")
class Places205(Source):
    """2 448 873 training and 20 500 validation photographs of 205 kinds of place (Zhou et al., 2014), streamed.

    In `ROTNET_DATA/places205`: `trainvalsplit_places205/{train,val}_places205.csv`, whose lines are the path of an image and
    its label (from 0), and the images below `data/vision/torralba/deeplearning/images256` (so the archive unpacks) or
    `images256`. A class is called by the folder of its images. A network sees 224 x 224 unless said otherwise. Normalised by
    ImageNet's statistics (code). The fingerprint is of the split files: an image that was replaced goes unnoticed.
    """

    statistics = IMAGENET_STATISTICS
    streamed = True
    published_title = "Places205"
    published_aliases = ("Places",)
    published = Counts(2_448_873, 20_500, 205)
    usual_size = 224

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        self._root = data_root() / "places205"
        lists = {split: self._root / "trainvalsplit_places205" / _SPLIT_FILES[split] for split in SPLITS}
        for path in lists.values():
            if not is_there(path):
                raise RotnetError(
                    f"no split file {path}. It comes with Places205 (places.csail.mit.edu, trainvalsplit_places205.zip): "
                    f"lines of an image's path and its label. Put it there, or set ROTNET_DATA to a folder that has it. {QUICK}"
                )
        images = next((folder for folder in (self._root / name for name in _IMAGES) if is_folder(folder)), None)
        if images is None:
            expected = " nor ".join(str(self._root / name) for name in _IMAGES)
            raise RotnetError(
                f"no images of Places205: there is no {expected}. Unpack imagesPlaces205_resize.tar.gz in {self._root}, or set "
                f"ROTNET_DATA to a folder that has it so. {QUICK}"
            )
        listed = {split: _read(lists[split]) for split in SPLITS}
        self.classes = _classes(listed, lists)
        self.files = {split: Listing(str(images), names, labels, self.classes) for split, (names, labels, _) in listed.items()}
        for split, listing in self.files.items():
            _check_folders(listing, lists[split])
        counts = Counts(len(self.files["train"]), len(self.files["test"]), len(self.classes))
        part = f"Places205 (part: {counts.train} training images of {counts.classes} classes)"
        self.title = self.published_title if counts == self.published else part
        self._checksums = [checksum for *_, checksum in listed.values()]
        self.fingerprint = self.fingerprint_of(image_files.VERSION)

    def fingerprint_of(self, version: int) -> str:
        digest = hashlib.sha256(f"places205 {version} {self.side}".encode())
        for checksum in self._checksums:
            digest.update(checksum)
        return digest.hexdigest()

    def location(self) -> str:
        return shown(self._root)


def _read(path: Path) -> _Listed:
    """What a split file lists. Raises RotnetError naming a wrong line, or an image that it lists twice."""
    content = read_file(path, _EXPECTED, _MOST)
    if content.count(b"\n") > _MOST_LINES:
        raise RotnetError(f"{shown(path)} has more than {_MOST_LINES} lines. {_EXPECTED}")
    # Asked once of the whole file: there are millions of lines.
    odd = b".." in content or len(content.translate(None, _CONTROLS)) < len(content)
    names, labels = [], []
    for number, line in enumerate(_lines(content), start=1):
        name, _, label = line.strip().rpartition(b" ")
        name = name.strip().lstrip(b"/")
        if not name or not label.isdigit() or len(label) > _DIGITS:
            if not line.strip():
                continue
            raise _wrong(path, number, line, "is no path and label, such as 'a/abbey/0001.jpg 0'")
        if odd and (b".." in name.split(b"/") or name.translate(None, _CONTROLS) != name):
            raise _wrong(path, number, line, "has a path with '..' or a control character, neither of which is allowed")
        names.append(name)
        labels.append(int(label))
    if not names:
        raise RotnetError(f"{shown(path)} is empty. {_EXPECTED}")
    if len(longest := max(names, key=len)) > LONGEST_NAME:
        raise RotnetError(
            f"{shown(path)} lists a path of {len(longest)} bytes, which begins with {shown(os.fsdecode(longest[:80]))}. "
            f"Allowed: {LONGEST_NAME}."
        )
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise RotnetError(f"{shown(path)} lists {shown(os.fsdecode(twice))} more than once. Take the other lines out.")
    return np.array(names), np.array(labels, np.int64), hashlib.sha256(content).digest()


def _lines(content: bytes) -> Iterable[bytes]:
    """The lines, as all editors write them."""
    text = content.removeprefix(codecs.BOM_UTF8)
    return io.BytesIO(text if b"\n" in text else text.replace(b"\r", b"\n"))


def _wrong(path: Path, number: int, line: bytes, what: str) -> RotnetError:
    text = shown(os.fsdecode(line.strip()[:80]))
    return RotnetError(f"{shown(path)}, line {number}: '{text}' {what}. {_EXPECTED}")


def _classes(listed: Mapping[SplitName, _Listed], lists: Mapping[SplitName, Path]) -> tuple[str, ...]:
    """The folder of each label's images.

    Raises RotnetError if the splits do not have the same labels, from 0 on without a gap, or a folder is no name of a class.
    """
    kinds = {split: np.unique(labels, return_index=True) for split, (_, labels, _) in listed.items()}
    odd = np.setxor1d(kinds["train"][0], kinds["test"][0])
    if len(odd):
        with_, without = SPLITS if odd[0] in kinds["train"][0] else SPLITS[::-1]
        image = listed[with_][0][np.argmax(listed[with_][1] == odd[0])]
        counts = " and ".join(f"{len(kinds[split][0])} in {lists[split].name}" for split in SPLITS)
        raise RotnetError(
            f"{shown(lists[with_])} gives {shown(os.fsdecode(image))} label {odd[0]}, which no image of "
            f"{shown(lists[without])} has. The splits must have the same labels ({counts}): correct the one that is wrong."
        )
    found, places = kinds["train"]
    if found[-1] != len(found) - 1:
        gap = np.flatnonzero(found != np.arange(len(found)))[0]
        raise RotnetError(
            f"{lists['train']}: labels go up to {found[-1]}, but none is {gap}. Number them from 0 without a gap."
        )
    called: dict[str, int] = {}
    for label, image in enumerate(listed["train"][0][places]):
        folder = os.path.dirname(os.fsdecode(image))
        # The archive sorts its folders by their first letter: a/abbey, c/church/outdoor.
        name = folder.split("/", 1)[1] if folder[1:2] == "/" else folder
        if name in called:
            why = f"label {called[name]} is called so already"
        elif not name or shown(name) != name:
            why = "a class is called by the folder of its images, which must be text in UTF-8"
        else:
            called[name] = label
            continue
        raise RotnetError(
            f"{lists['train']}: '{shown(name)}' cannot be what label {label} is called: {why}. Correct its lines, such as that "
            f"of {shown(os.fsdecode(image))}."
        )
    return tuple(called)


def _check_folders(listing: Listing, path: Path) -> None:
    """Raises RotnetError if a class's first image is not there: then the layout is another."""
    for place in np.unique(listing.labels, return_index=True)[1]:
        if not is_there(listing.path(place)):
            raise RotnetError(
                f"{path} lists {shown(listing.name(place))}, but there is no {shown(listing.path(place))}. Put the images "
                "there, or take its line out."
            )
