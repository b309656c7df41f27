"""`imagenet`: the ILSVRC 2012 folders."""

from pathlib import Path

from rotnet_lib.data.listing import EXTENSIONS, Listing, fingerprint, list_images, same_classes
from rotnet_lib.data.opening import is_folder, names_in, shown
from rotnet_lib.data.skipped import is_bystander
from rotnet_lib.data.source import DATASETS, IMAGENET_STATISTICS, QUICK, Counts, Source, data_root, resized_side
from rotnet_lib.errors import RotnetError


@DATASETS.register("imagenet")
class ImageNet(Source):
    """1 281 167 training and 50 000 validation photographs of 1 000 classes (Russakovsky et al., 2015), streamed.

    In `ROTNET_DATA` as `imagenet/{train,val}/<wnid>/*.JPEG`, or `ILSVRC2012/` of that layout. A network sees 224 x 224 unless
    said otherwise; classes are called by their WordNet ids.
    """

    statistics = IMAGENET_STATISTICS
    streamed = True
    published_title = "ImageNet"
    published = Counts(1_281_167, 50_000, 1000)
    usual_size = 224

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        self._root = next((folder for folder in self._folders() if is_folder(folder)), self._folders()[0])
        if not is_folder(self._root):
            raise RotnetError(
                f"no folder {self._root}, nor {self._folders()[1]}. ImageNet cannot be downloaded without an account: take "
                f"ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org and unpack them as "
                f"{self._root}/{{train,val}}/<wnid>/*.JPEG, or set ROTNET_DATA to a folder that has them so. {QUICK}"
            )
        self.files = {"train": list_images(self._root / "train"), "test": _validation(self._root / "val")}
        self.classes = same_classes(self.files, self._root)
        self.title = self._title()
        self.fingerprint = fingerprint(self.files, self.side)

    def location(self) -> str:
        return shown(self._root)

    def _title(self) -> str:
        """The published name, for as many classes and all but a thousandth of the images."""
        counts = [len(listing) for listing in self.files.values()]
        full = all(count >= 0.999 * whole for count, whole in zip(counts, self.published[:2], strict=True))
        if full and len(self.classes) == self.published.classes:
            return self.published_title
        return f"ImageNet (part: {counts[0]} training images of {len(self.classes)} classes)"

    @staticmethod
    def _folders() -> list[Path]:
        return [data_root() / "imagenet", data_root() / "ILSVRC2012"]


def _validation(folder: Path) -> Listing:
    """The validation images; as the archive unpacks, they are not sorted into classes, which is worth a word."""
    if is_folder(folder):
        loose = [name for name in names_in(folder) if name.lower().endswith(EXTENSIONS) and not is_bystander(name)]
        if loose:
            raise RotnetError(
                f"{folder} has {len(loose)} images that are in no class's folder, such as {shown(loose[0])}. Expected "
                f"{folder}/<wnid>/*.JPEG. Move each into the folder of its class: the development kit "
                "(ILSVRC2012_devkit_t12.tar.gz) has the classes in ILSVRC2012_validation_ground_truth.txt, and "
                "torchvision.datasets.ImageNet, given both archives, unpacks them that way."
            )
    return list_images(folder)
