"""A split in VOC's layout, read image by image."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rotnet_lib.data.image_files import DamagedImage, read_indices, read_rgb, read_size
from rotnet_lib.data.opening import is_there
from rotnet_lib.data.voc.objects import Objects, read_objects
from rotnet_lib.errors import RotnetError

IMAGES, ANNOTATIONS, MASKS = "JPEGImages", "Annotations", "SegmentationClass"

VOID = 255
"""In a mask: the border about an object, or what is not to be counted."""


@dataclass(frozen=True)
class VocSplit:
    """The images of a split and what is known of them. Nothing is kept in memory but their names.

    Attributes:
        folder: that holds `JPEGImages`, `Annotations`, `SegmentationClass` and `ImageSets`.
        classes: as annotations call them; label i is the class at place i.
        name: of the split (`"trainval"`).
        names: the images' ids, in the list's order.
    """

    folder: Path
    classes: tuple[str, ...]
    name: str
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def first(self, count: int) -> "VocSplit":
        """The first `count` images. Raises RotnetError if there are fewer."""
        if count > len(self):
            raise RotnetError(f"{count} images asked for, but the {self.name} split of {self.folder} has {len(self)}.")
        return replace(self, names=self.names[:count])

    def spread(self, most: int) -> list[int]:
        """Places of at most `most` images, evenly spaced, since neighbours in a list may be frames of one film."""
        return np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int).tolist()

    def image_path(self, index: int) -> Path:
        return self.folder / IMAGES / f"{self.names[index]}.jpg"

    def annotation_path(self, index: int) -> Path:
        return self.folder / ANNOTATIONS / f"{self.names[index]}.xml"

    def mask_path(self, index: int) -> Path:
        return self.folder / MASKS / f"{self.names[index]}.png"

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of an image in pixels, from the head of its file."""
        path = self.image_path(index)
        try:
            return read_size(path)
        except DamagedImage as error:
            raise _damaged(path, error) from None

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, as stored: boxes and masks know nothing of an EXIF tag. Raises RotnetError if damaged."""
        path = self.image_path(index)
        try:
            return np.array(read_rgb(path, upright=False))
        except DamagedImage as error:
            raise _damaged(path, error) from None

    def objects(self, index: int) -> Objects:
        """What the image's annotation says. Raises RotnetError naming file and line of what is wrong in it."""
        return read_objects(self.annotation_path(index), self.classes, self.size(index))

    def present(self, index: int) -> np.ndarray:
        """(C,) int8: 1 where the image has an object of the class that is not difficult, -1 only difficult ones, 0 none.

        VOC's own lists `ImageSets/Main/<class>_<split>.txt` say the same as 1, 0 and -1: the devkit makes them from these
        annotations by this rule, so they need not be there.
        """
        objects = self.objects(index)
        present = np.zeros(len(self.classes), np.int8)
        present[objects.labels] = -1
        present[objects.labels[~objects.difficult]] = 1
        return present

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8: 0 background, 1 + label, 255 not counted.

        Raises RotnetError if it is neither a palette image nor a grey one, of another size than its image, or has other ids.
        """
        path = self.mask_path(index)
        try:
            file = read_indices(path)
        except DamagedImage as error:
            raise _damaged(path, error) from None
        if file.mode not in ("P", "L"):
            raise RotnetError(
                f"{path} is an image of mode {file.mode}. A mask is a PNG with a palette (mode P) or a grey one (L), whose "
                f"values are 0 for the background, 1 to {len(self.classes)} for the classes and {VOID} for what is not counted."
            )
        mask = np.array(file)
        width, height = self.size(index)
        if mask.shape != (height, width):
            raise RotnetError(
                f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels, but its image {self.image_path(index).name} is "
                f"{width} x {height}."
            )
        counts = np.bincount(mask.reshape(-1), minlength=256)
        odd = [id_ for id_ in np.flatnonzero(counts).tolist() if len(self.classes) < id_ < VOID]
        if odd:
            shown = ", ".join(f"{id_} ({counts[id_]} pixels)" for id_ in odd[:5]) + (" ..." if len(odd) > 5 else "")
            raise RotnetError(
                f"{path} has unknown ids: {shown}. Allowed: 0 for the background, 1 to {len(self.classes)} for the classes, "
                f"{VOID} for what is not counted."
            )
        return mask


def _damaged(path: Path, error: DamagedImage) -> RotnetError:
    if not is_there(path):
        return RotnetError(f"there is no {path}.")
    return RotnetError(f"damaged image {path}: {error}. Correct it, or replace it by the original.")
