"""`shapes`: the dataset that ships with the code, as a named dataset. The drawing is in `rotnet_lib.data.shapes`."""

import numpy as np

from rotnet_lib.data import shapes
from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.source import DATASETS, Source, resized_side
from rotnet_lib.errors import RotnetError

COUNTS: dict[SplitName, int] = {"train": 5000, "test": 1000}
"""How many images there are unless more or less are asked for."""


@DATASETS.register("shapes")
class Shapes(Source):
    """Upright drawn objects of 10 kinds on backgrounds that do not tell the orientation; as many as asked for.

    Unless asked for more or less: 5 000 training and 1 000 test images, 32 x 32. `shapes:1` is another set of drawings, which
    shares no image with `shapes:0`, that is `shapes`.
    """

    classes = shapes.CLASSES
    generated = True
    argument = "number"
    usual_size = 32

    @classmethod
    def spoken(cls, argument: str) -> str:
        return f"drawn shapes (set {argument})" if int(argument or 0) else "drawn shapes"

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        if not (argument or "0").isdecimal():
            raise RotnetError(f"dataset 'shapes:{argument}': not a number. Take shapes:0, shapes:1 ...")
        self._drawings = int(argument or 0)
        self.title = "shapes (drawn, not photographs)" + (f", drawings {self._drawings}" if self._drawings else "")
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        if self.side < shapes.MIN_IMAGE_SIZE:
            raise RotnetError(f"image_size: shapes need at least {shapes.MIN_IMAGE_SIZE} pixels, not {self.side}.")
        self.fingerprint = f"shapes-version-{shapes.VERSION}-size-{self.side}"
        if self._drawings:
            self.fingerprint += f"-drawings-{self._drawings}"

    def location(self) -> str:
        return "drawn when needed"

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        return shapes.generate(split, count or COUNTS[split], seed=self._drawings, image_size=self.side)
