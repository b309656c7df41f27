"""`cifar10`: torchvision's download, or a copy as a folder of images."""

import numpy as np

from rotnet_lib.data.download import downloading
from rotnet_lib.data.images import decode_all, fingerprint, list_images
from rotnet_lib.data.source import DATASETS, SplitName, Statistics, data_root
from rotnet_lib.errors import RotnetError, nearest

# Table 9's order, which is that of the official labels.
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@DATASETS.register("cifar10")
class Cifar10:
    """50 000 training and 10 000 test images of 10 classes, 32 x 32 (Krizhevsky, 2009).

    Taken from `ROTNET_DATA` as the official `cifar-10-batches-py`, else as `cifar10/{train,test}/<class>/`, else
    downloaded. A folder of JPEG files is named as a copy: its pixels are not the official ones.
    """

    classes: tuple[str, ...] = _CLASSES
    image_size = 32
    generated = False
    statistics: Statistics | None = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    """Stated by the protocol (of 255)."""

    def __init__(self, argument: str, image_size: int | None) -> None:
        if image_size not in (None, 32):
            raise RotnetError(f"image_size: cifar10 has 32 x 32 images, not {image_size}. Leave it out.")
        from torchvision.datasets import CIFAR10  # takes seconds to import, which runs on other data should not wait

        folder = data_root() / "cifar10"
        self._listings = {}
        # Official files win over a copy; a copy wins over a download.
        if (data_root() / CIFAR10.base_folder).is_dir() or not folder.is_dir():
            self.title, self.cached = "CIFAR-10", False
            self.fingerprint = f"cifar10-official-{CIFAR10.tgz_md5}"
            return
        self.cached = True
        self._listings = {"train": list_images(folder / "train"), "test": list_images(folder / "test")}
        for split, listing in self._listings.items():
            wrong = sorted({kind for _, kind in listing} ^ set(_CLASSES))
            if wrong:
                what = "missing" if wrong[0] in _CLASSES else "unknown"
                hint = nearest(wrong[0], _CLASSES) if what == "unknown" else "."
                raise RotnetError(
                    f"{folder / split} is not CIFAR-10: {what} class {wrong[0]}{hint} Allowed: {', '.join(_CLASSES)}."
                )
        listing = self._listings["train"] + self._listings["test"]
        kinds = {path.suffix.lower() for path, _ in listing}
        self.title = "CIFAR-10 (JPEG copy)" if kinds & {".jpg", ".jpeg"} else "CIFAR-10 (image folder)"
        self.fingerprint = fingerprint(self._listings, self.image_size)

    def location(self) -> str:
        if self._listings:
            return str(data_root() / "cifar10")
        official = data_root() / "cifar-10-batches-py"
        return str(official) if official.is_dir() else "not here yet: `rotnet data cifar10` downloads it"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        if self._listings:
            return decode_all(self._listings[split], self.classes, self.image_size)
        from torchvision.datasets import CIFAR10

        official = data_root() / CIFAR10.base_folder
        with downloading("cifar10", official, f"{data_root()}/cifar10/{{train,test}}/<class>/*.png"):
            data = CIFAR10(data_root(), train=split == "train", download=True)
        return np.ascontiguousarray(data.data), np.asarray(data.targets, np.int64)
