"""`imagefolder:/path`: anybody's own images, as `/path/{train,test}/<class>/*.jpg`."""

from pathlib import Path

from rotnet_lib.data.listing import Listing, SplitName, fingerprint, list_images, same_classes
from rotnet_lib.data.opening import is_folder, shown
from rotnet_lib.data.source import DATASETS, Source, resized_side
from rotnet_lib.paths import from_project


@DATASETS.register("imagefolder")
class ImageFolder(Source):
    """Folders of image files of any size; `test` may be called `val`.

    Images are resized so that the shorter side is R; a network sees S x S of that (32 unless given).
    """

    argument = "folder"
    usual_size = 32

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        root = from_project(argument)
        self._root = root
        self.title = f"images of {shown(root.name)}"
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        self.files = _listed(root)
        self.classes = same_classes(self.files, root)
        self.fingerprint = fingerprint(self.files, self.side)

    @classmethod
    def count(cls, argument: str) -> tuple[int, int]:
        files = _listed(from_project(argument))
        return len(files["train"]), len(files["test"])

    def location(self) -> str:
        return shown(self._root)


def _listed(root: Path) -> dict[SplitName, Listing]:
    test = root / "val" if is_folder(root / "val") and not is_folder(root / "test") else root / "test"
    return {"train": list_images(root / "train"), "test": list_images(test)}
