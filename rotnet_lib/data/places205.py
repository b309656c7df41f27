"""`places205`: photographs of places, listed by the authors' split files."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rotnet_lib.data.listing import SPLITS, Listing, SplitName
from rotnet_lib.data.source import DATASETS, IMAGENET_STATISTICS, QUICK, Counts, Source, data_root, resized_side
from rotnet_lib.errors import RotnetError

_SPLIT_FILES: dict[SplitName, str] = {"train": "train_places205.csv", "test": "val_places205.csv"}
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
    published = Counts(2_448_873, 20_500, 205)
    usual_size = 224

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        self._root = data_root() / "places205"
        lists = {split: self._root / "trainvalsplit_places205" / _SPLIT_FILES[split] for split in SPLITS}
        for path in lists.values():
            if not path.is_file():
                raise RotnetError(
                    f"no split file {path}. It comes with Places205 (places.csail.mit.edu, trainvalsplit_places205.zip): "
                    f"lines of an image's path and its label. Put it there, or set ROTNET_DATA to a folder that has it. {QUICK}"
                )
        images = next((folder for folder in (self._root / name for name in _IMAGES) if folder.is_dir()), None)
        if images is None:
            expected = " nor ".join(str(self._root / name) for name in _IMAGES)
            raise RotnetError(
                f"no images of Places205: there is no {expected}. Unpack imagesPlaces205_resize.tar.gz in {self._root}, or set "
                f"ROTNET_DATA to a folder that has it so. {QUICK}"
            )
        listed = {split: _read(lists[split]) for split in SPLITS}
        self.classes = _classes(listed, lists)
        self.files = {split: Listing(str(images), names, labels, self.classes) for split, (names, labels) in listed.items()}
        for split, listing in self.files.items():
            _check_folders(listing, lists[split])
        counts = Counts(len(self.files["train"]), len(self.files["test"]), len(self.classes))
        part = f"Places205 (part: {counts.train} training images of {counts.classes} classes)"
        self.title = self.published_title if counts == self.published else part
        digest = hashlib.sha256(f"places205 1 {self.side}".encode())
        for path in lists.values():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.fingerprint = digest.hexdigest()

    def location(self) -> str:
        return str(self._root)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Image paths (N,) bytes and labels (N,) int64 of a split file. Raises RotnetError naming a line it cannot read."""
    names, labels = [], []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, _, label = line.strip().rpartition(b" ")
            if not name or not label.isdigit():
                shown = line.strip().decode(errors="replace")[:80]
                raise RotnetError(f"{path}, line {number}: '{shown}' is no path and label, such as 'a/abbey/0001.jpg 0'.")
            names.append(name.strip().lstrip(b"/"))
            labels.append(int(label))
    if not names:
        raise RotnetError(f"{path} is empty. Expected lines of an image's path and its label.")
    return np.array(names), np.array(labels, np.int64)


def _classes(listed: Mapping[SplitName, tuple[np.ndarray, np.ndarray]], lists: Mapping[SplitName, Path]) -> tuple[str, ...]:
    """The folder of each label's images. Raises RotnetError if the splits do not have the same, from 0 on without a gap."""
    kinds = {split: np.unique(labels, return_index=True) for split, (_, labels) in listed.items()}
    odd = np.setxor1d(kinds["train"][0], kinds["test"][0])
    if len(odd):
        counts = " and ".join(f"{len(kinds[split][0])} in {lists[split].name}" for split in SPLITS)
        raise RotnetError(
            f"the split files of Places205 differ in their labels ({counts}): "
            f"{', '.join(map(str, odd[:5]))} in only one of them."
        )
    found, places = kinds["train"]
    if found[-1] != len(found) - 1:
        gap = np.setdiff1d(np.arange(found[-1]), found)[0]
        raise RotnetError(f"{lists['train']}: labels go up to {found[-1]}, but none is {gap}.")
    folders = [os.path.dirname(os.fsdecode(name)) for name in listed["train"][0][places]]
    # The archive sorts its folders by their first letter: a/abbey, c/church/outdoor.
    return tuple(folder.split("/", 1)[1] if folder[1:2] == "/" else folder for folder in folders)


def _check_folders(listing: Listing, path: Path) -> None:
    """Raises RotnetError if a class's first image is not there: then the layout is another."""
    for place in np.unique(listing.labels, return_index=True)[1]:
        if not os.path.exists(listing.path(place)):
            raise RotnetError(f"{path} lists {listing.name(place)}, but there is no {listing.path(place)}.")
