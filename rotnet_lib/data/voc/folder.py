"""`voc:/path`: any folder in VOC's layout."""

from pathlib import Path

from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.lists import Lists
from rotnet_lib.data.voc.objects import class_names
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName, task_lists
from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES
from rotnet_lib.errors import RotnetError, nearest
from rotnet_lib.paths import from_project

CLASSES = "classes.txt"
"""In the folder: the classes' names, one a line, in the order of the masks' ids (from 1)."""


@VOC_SETS.register("voc")
class VocFolder(VocSource):
    """Images, annotations, masks and lists of the user's own.

    Trained on trainval and tested on test where both lists are there, else on train and val. The classes are those of
    `classes.txt`, without which they must be VOC's 20.
    """

    argument = "folder"

    def __init__(self, argument: str) -> None:
        self._folder = from_project(argument)
        self.title = f"VOC-format images of {self._folder.name}"
        if not (self._folder / IMAGES).is_dir():
            raise RotnetError(
                f"no folder {self._folder / IMAGES}. Expected VOC's layout in {self._folder}: {IMAGES}/*.jpg, "
                f"{ANNOTATIONS}/*.xml, SegmentationClass/*.png, ImageSets/{{Main,Segmentation}}/{{trainval,test}}.txt."
            )

    def fingerprint(self, task: VocTaskName) -> str:
        path = self._folder / CLASSES
        return self.lists(self._folder, task).fingerprint(path.read_bytes() if path.is_file() else b"")

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        return self._folder

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        pairs = [task_lists(folder, task, splits) for splits in (("trainval", "test"), ("train", "val"))]
        for pair in pairs:
            if all(pair.path(split).is_file() for split in pair.splits):
                return pair
        below = pairs[0].path("trainval").parent
        raise RotnetError(
            f"{below} has neither trainval.txt and test.txt nor train.txt and val.txt, lists of an image's id a line."
        )

    def classes(self, lists: Lists) -> tuple[str, ...]:
        path = self._folder / CLASSES
        if path.is_file():
            return read_classes(path)
        if ANNOTATIONS in lists.needed:
            self._check_names(lists)
        return tuple(VOC_CLASSES)

    def _check_names(self, lists: Lists) -> None:
        """Raises RotnetError if an object's class is none of VOC's: then only `classes.txt` can tell their order."""
        for id_ in (id_ for ids in lists.read() for id_ in ids):
            path = self._folder / ANNOTATIONS / f"{id_}.xml"
            for name, line in class_names(path):
                if name not in VOC_CLASSES:
                    raise RotnetError(
                        f"{path}, line {line}: class '{name}' is none of VOC's 20{nearest(name, VOC_CLASSES)} If the classes "
                        f"are others, name them in {self._folder / CLASSES}, one a line, in the order of the masks' ids."
                    )


def read_classes(path: Path) -> tuple[str, ...]:
    """The names in a `classes.txt`. Raises RotnetError if it is no text, has none, more than 254, or one of them twice."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RotnetError(f"{path} is no text in UTF-8: {error}. Expected a class's name a line.") from None
    names: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if line.strip() in names:
            raise RotnetError(f"{path}, line {number}: class {line.strip()} stands on line {names[line.strip()]} already.")
        names[line.strip()] = number
    if not 0 < len(names) < 255:
        raise RotnetError(f"{path} has {len(names)} classes' names. Expected 1 to 254, one a line.")
    return tuple(names)
