"""`shapes`: the dataset that ships with the code, as a named dataset. The drawing is in `rotnet_lib.data.shapes`."""

import numpy as np

from rotnet_lib.data import shapes
from rotnet_lib.data.source import DATASETS, SplitName, Statistics
from rotnet_lib.errors import RotnetError

_COUNTS = {"train": 5000, "test": 1000}


@DATASETS.register("shapes")
class Shapes:
    """Upright drawn objects of 10 kinds on backgrounds that do not tell the orientation; as many as asked for.

    Unless asked for more or less: 5 000 training and 1 000 test images, 32 x 32.
    """

    title = "shapes (drawn, not photographs)"
    classes: tuple[str, ...] = shapes.CLASSES
    generated = True
    statistics: Statistics | None = None
    cached = True

    def __init__(self, argument: str, image_size: int | None) -> None:
        self.image_size = image_size or 32
        if self.image_size < shapes.MIN_IMAGE_SIZE:
            raise RotnetError(f"image_size: shapes need at least {shapes.MIN_IMAGE_SIZE} pixels, not {image_size}.")
        self.fingerprint = f"shapes-version-{shapes.VERSION}-size-{self.image_size}"

    def location(self) -> str:
        return "drawn when needed"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        return shapes.generate(split, count or _COUNTS[split], image_size=self.image_size)
