"""`cifar10`: torchvision's download, or a copy as a folder of images."""

import hashlib
import pickle
from pathlib import Path

import numpy as np

from rotnet_lib.data.download import downloading
from rotnet_lib.data.listing import SplitName, fingerprint, list_images
from rotnet_lib.data.opening import is_folder, is_there, read_file, shown
from rotnet_lib.data.source import DATASETS, Counts, Source, data_root, fixed_size
from rotnet_lib.errors import RotnetError, nearest

# Table 9's order, which is that of the official labels.
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_FOLDER, _CHECKSUM = "cifar-10-batches-py", "c58f30108f718f92721af3b95e74349a"
"""torchvision's `base_folder` and `tgz_md5`: importing it takes seconds, and what a suite's runs are can be said without it."""

_MOST = 2**26
"""Bytes of an official file, which has 31 MB."""


@DATASETS.register("cifar10")
class Cifar10(Source):
    """50 000 training and 10 000 test images of 10 classes, 32 x 32 (Krizhevsky, 2009).

    Taken from `ROTNET_DATA` as the official `cifar-10-batches-py`, else as `cifar10/{train,test}/<class>/`, else
    downloaded. A folder of JPEG files is named as a copy: its pixels are not the official ones.
    """

    classes = _CLASSES
    side = 32
    statistics = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    """Stated by the protocol (of 255)."""
    published_title = "CIFAR-10"
    published = Counts(50_000, 10_000, 10)
    usual_size = 32

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        self.image_size = fixed_size("cifar10", self.side, image_size, crop_pct)
        folder = data_root() / "cifar10"
        # Official files win over a copy; a copy wins over a download.
        if is_folder(data_root() / _FOLDER) or not is_folder(folder):
            self.title, self.cached = "CIFAR-10", False
            self.fingerprint = f"cifar10-official-{_CHECKSUM}"
            return
        self.files = {"train": list_images(folder / "train"), "test": list_images(folder / "test")}
        for split, listing in self.files.items():
            wrong = sorted(set(listing.classes) ^ set(_CLASSES))
            if wrong:
                what = "missing" if wrong[0] in _CLASSES else "unknown"
                hint = nearest(wrong[0], _CLASSES) if what == "unknown" else "."
                raise RotnetError(
                    f"{folder / split} is not CIFAR-10: {what} class {wrong[0]}{hint} Allowed: {', '.join(_CLASSES)}."
                )
        lossy = any(name.lower().endswith((b".jpg", b".jpeg")) for listing in self.files.values() for name in listing.names)
        self.title = "CIFAR-10 (JPEG copy)" if lossy else "CIFAR-10 (image folder)"
        self.fingerprint = fingerprint(self.files, self.side)

    def location(self) -> str:
        if self.files:
            return shown(data_root() / "cifar10")
        official = data_root() / _FOLDER
        return shown(official) if is_folder(official) else "not here yet: `rotnet data cifar10` downloads it"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        from torchvision.datasets import CIFAR10

        folder = data_root() / _FOLDER
        files = CIFAR10.train_list if split == "train" else CIFAR10.test_list
        if not all(is_there(folder / name) for name, _ in files):
            _download(folder)
        rows, labels = zip(*(_read(folder / name, md5) for name, md5 in files), strict=True)
        images = np.concatenate(rows).reshape(-1, 3, self.side, self.side).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images), np.concatenate(labels)


def _read(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, 3072) uint8, all red, all green, all blue pixels of an image, and labels (N,) int64 of an official file.

    Raises RotnetError, naming the file, if it is any other.
    """
    again = (
        f"Delete {shown(path.parent)} and run `rotnet data cifar10` where there is a network, or put the official file there."
    )
    content = read_file(path, again, _MOST)
    # The files are pickles, which may run any code when they are read: only bytes that are known to be the official ones are.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise RotnetError(f"damaged file {shown(path)}: its checksum is not the official one. {again}")
    batch = pickle.loads(content, encoding="latin1")
    return batch["data"], np.asarray(batch["labels"], np.int64)


def _download(folder: Path) -> None:
    """Download the archive, unless it lies beside the folder, and unpack it. Raises RotnetError as `downloading`."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    archive = folder.parent / CIFAR10.filename
    unpacked = [folder / name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
    with downloading("cifar10", folder, f"{folder.parent}/cifar10/{{train,test}}/<class>/*.png", archive, *unpacked):
        download_and_extract_archive(CIFAR10.url, str(folder.parent), filename=archive.name, md5=_CHECKSUM)
