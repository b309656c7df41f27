"""`scenes`: a drawn set in VOC's layout, for which nothing need be downloaded."""

from pathlib import Path

from rotnet_lib.data import shapes
from rotnet_lib.data.source import cache_root
from rotnet_lib.data.voc.folder import CLASSES, read_classes
from rotnet_lib.data.voc.lists import Lists
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName, task_lists
from rotnet_lib.data.voc.writing import SCENES_VERSION, write_scenes
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import make_once

SIDE = 256
"""Pixels of the longer side where none are given."""

_SIDES = (64, 1024)
COUNTS = (1000, 500)
"""Training and test scenes that are drawn unless told how many."""


@VOC_SETS.register("scenes")
class Scenes(VocSource):
    """One to five of the ten objects of `shapes` on a background; as many scenes as asked for, 1 000 and 500 unless told.

    Written once, as files in VOC's layout, into the cache folder, where all of them are trained on as trainval and tested on
    as test, whatever the task: every scene has an annotation and a mask. `scenes:128` is 128 pixels wide or high.
    """

    argument = "number"

    @classmethod
    def spoken(cls, argument: str) -> str:
        return "drawn scenes"

    def __init__(self, argument: str) -> None:
        if not (argument or "0").isdecimal() or not _SIDES[0] <= int(argument or SIDE) <= _SIDES[1]:
            raise RotnetError(
                f"VOC set 'scenes:{argument}': expected the longer side in pixels, {_SIDES[0]} to {_SIDES[1]}: scenes:128."
            )
        self._side = int(argument or SIDE)
        self._name = f"scenes-version-{shapes.VERSION}.{SCENES_VERSION}-{self._side}"
        self.title = f"scenes of {self._side} pixels (drawn, not photographs)"

    def fingerprint(self, task: VocTaskName) -> str:
        return self._name

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        train, test = (asked or count for asked, count in zip((train_size, test_size), COUNTS, strict=True))
        folder = cache_root() / f"{self._name}-{train}-{test}"
        try:
            make_once(folder, lambda temporary: write_scenes(temporary, self._side, train, test))
        except OSError as error:
            raise RotnetError(f"cannot keep the drawn scenes in {folder}: {error}. Set ROTNET_CACHE.") from None
        return folder

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        return task_lists(folder, task, ("trainval", "test"))

    def classes(self, lists: Lists) -> tuple[str, ...]:
        return read_classes(lists.folder / CLASSES)
