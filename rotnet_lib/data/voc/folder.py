"""`voc:/path`: any folder in VOC's layout."""

from pathlib import Path

from rotnet_lib.data.opening import is_folder, is_there, read_file, read_lines, shown
from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.lists import Lists
from rotnet_lib.data.voc.objects import class_names
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName, task_lists
from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES, VOID
from rotnet_lib.errors import RotnetError, nearest
from rotnet_lib.paths import from_project

CLASSES = "classes.txt"
"""In the folder: the classes' names, one per line, in the order of the masks' ids (from 1)."""

_MOST = 2**16
"""Bytes of it."""
_EXPECTED = f"Expected 1 to {VOID - 1} classes' names, one per line, in the order of the masks' ids (from 1)."


@VOC_SETS.register("voc")
class VocFolder(VocSource):
    """Images, annotations, masks and lists of the user's own.

    Trained on trainval and tested on test where both lists are there, else on train and val. The classes are those of
    `classes.txt`, without which they must be VOC's 20.
    """

    argument = "folder"

    @classmethod
    def spoken(cls, argument: str) -> str:
        return shown(from_project(argument).name)

    def __init__(self, argument: str) -> None:
        self._folder = from_project(argument)
        self.title = f"{shown(self._folder.name)} (VOC format)"
        if not is_folder(self._folder / IMAGES):
            raise RotnetError(
                f"no folder {self._folder / IMAGES}. Expected VOC's layout in {self._folder}: {IMAGES}/*.jpg, "
                f"{ANNOTATIONS}/*.xml, SegmentationClass/*.png, ImageSets/{{Main,Segmentation}}/{{trainval,test}}.txt."
            )

    @classmethod
    def count(cls, argument: str, task: VocTaskName) -> tuple[int, int]:
        found = cls(argument)
        train, test = found.lists(found._folder, task).read()
        return len(train), len(test)

    def fingerprint(self, task: VocTaskName) -> str:
        path = self._folder / CLASSES
        return self.lists(self._folder, task).fingerprint(read_file(path, _EXPECTED, _MOST) if is_there(path) else b"")

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        return self._folder

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        pairs = [task_lists(folder, task, splits) for splits in (("trainval", "test"), ("train", "val"))]
        for pair in pairs:
            if all(is_there(pair.path(split)) for split in pair.splits):
                return pair
        below = pairs[0].path("trainval").parent
        raise RotnetError(
            f"{below} has neither trainval.txt and test.txt nor train.txt and val.txt, lists with one image id per line."
        )

    def classes(self, lists: Lists) -> tuple[str, ...]:
        path = self._folder / CLASSES
        if is_there(path):
            return read_classes(path)
        if ANNOTATIONS in lists.needed:
            self._check_names(lists)
        else:
            print(f"There is no {shown(path)}: the ids of the masks are taken for VOC's 20 classes.", flush=True)
        return tuple(VOC_CLASSES)

    def _check_names(self, lists: Lists) -> None:
        """Raises RotnetError if an object's class is none of VOC's: then only `classes.txt` can tell their order."""
        for id_ in (id_ for ids in lists.read() for id_ in ids):
            path = self._folder / ANNOTATIONS / f"{id_}.xml"
            for name, line in class_names(path):
                if name not in VOC_CLASSES:
                    raise RotnetError(
                        f"{path}, line {line}: class '{name[:80]}' is none of VOC's 20{nearest(name, VOC_CLASSES)} If the "
                        f"classes are others, name them in {self._folder / CLASSES}, one per line, in the order of the "
                        "masks' ids."
                    )


def read_classes(path: Path) -> tuple[str, ...]:
    """The names in a `classes.txt`.

    Raises RotnetError if it cannot be read, is no text, has none, more than 254, one of them twice, or the background.
    """
    names: dict[str, int] = {}
    for number, name in read_lines(path, _EXPECTED, _MOST):
        if name in names:
            raise RotnetError(f"{shown(path)}, line {number}: class {name[:80]} is on line {names[name]} already.")
        if name.casefold() == "background":
            raise RotnetError(
                f"{shown(path)}, line {number}: the background is no class. Its id is 0, and the first class's 1. Take it out."
            )
        names[name] = number
    if not 0 < len(names) < VOID:
        raise RotnetError(f"{shown(path)} has {len(names)} classes' names. {_EXPECTED}")
    return tuple(names)
