"""`imagefolder:/path`: anybody's own images, as `/path/{train,test}/<class>/*.jpg`."""

import numpy as np

from rotnet_lib.data.images import decode_all, fingerprint, list_images
from rotnet_lib.data.source import DATASETS, SPLITS, SplitName, Statistics
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import from_project


@DATASETS.register("imagefolder")
class ImageFolder:
    """Folders of image files of any size; `test` may be called `val`.

    Images are resized so that the shorter side is `image_size` (32 unless given) and cut to their centre.
    """

    generated = False
    statistics: Statistics | None = None
    cached = True

    def __init__(self, argument: str, image_size: int | None) -> None:
        root = from_project(argument)
        self._root = root
        self.title = f"images of {root.name}"
        self.image_size = image_size or 32
        test = root / "val" if (root / "val").is_dir() and not (root / "test").is_dir() else root / "test"
        self._listings = {"train": list_images(root / "train"), "test": list_images(test)}
        kinds = {split: sorted({kind for _, kind in self._listings[split]}) for split in SPLITS}
        if kinds["train"] != kinds["test"]:
            odd = sorted(set(kinds["train"]) ^ set(kinds["test"]))
            raise RotnetError(f"the splits of {root} differ in their classes: {', '.join(odd[:5])} in only one of them.")
        self.classes = tuple(kinds["train"])
        self.fingerprint = fingerprint(self._listings, self.image_size)

    def location(self) -> str:
        return str(self._root)

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        return decode_all(self._listings[split], self.classes, self.image_size)
