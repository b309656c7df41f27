"""`voc2007` and `voc2012`: PASCAL VOC (Everingham et al., 2010), where it lies or from torchvision's archives."""

import json
from pathlib import Path
from typing import Any, ClassVar

from rotnet_lib.data.download import downloading
from rotnet_lib.data.opening import is_folder, is_there, read_file, shown
from rotnet_lib.data.source import data_root
from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.lists import Lists
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName, task_lists
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import make_once

_RECORD = "rotnet-download.json"
"""Written beside what was downloaded: its fingerprints, by which it is known as untouched."""

_MOST = 2**16
"""Bytes of it."""


class _Official(VocSource):
    """A year, in `ROTNET_DATA/VOCdevkit/VOC<year>`. What is not there is downloaded, checksums compared."""

    year: ClassVar[str]
    archives: ClassVar[tuple[str, ...]]
    """Keys of torchvision's table of archives."""

    def __init__(self, argument: str) -> None:
        self.title = f"VOC {self.year}"
        self._folder = data_root() / "VOCdevkit" / f"VOC{self.year}"

    def fingerprint(self, task: VocTaskName) -> str:
        if not is_folder(self._folder):
            return self._official()
        lists = self.lists(self._folder, task)
        found = lists.fingerprint()
        return self._official() if _recorded(self._folder / _RECORD).get(lists.kind) == found else found

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        if is_folder(self._folder):
            return self._folder
        layout = f"{self._folder}/{{JPEGImages,Annotations,SegmentationClass,ImageSets}}"
        archives = [data_root() / _archive(key)["filename"] for key in self.archives]
        with downloading(f"voc{self.year}", self._folder, layout, *archives, drawn="scenes"):
            make_once(self._folder, self._download)
        return self._folder

    def classes(self, lists: Lists) -> tuple[str, ...]:
        return tuple(VOC_CLASSES)

    def _official(self) -> str:
        """The fingerprint of what the archives hold, by their checksums: known before they are here."""
        return "-".join([f"voc{self.year}-official", *(_archive(key)["md5"] for key in self.archives)])

    def _download(self, folder: Path) -> None:
        from torchvision.datasets.utils import download_and_extract_archive  # takes seconds to import

        for key in self.archives:
            found = _archive(key)
            # The archive itself is kept where torchvision looks for it, or was put there by hand.
            download_and_extract_archive(found["url"], str(data_root()), str(folder), found["filename"], md5=found["md5"])
        unpacked = folder / "VOCdevkit" / f"VOC{self.year}"
        for part in sorted(unpacked.iterdir()):
            part.rename(folder / part.name)
        unpacked.rmdir()
        unpacked.parent.rmdir()
        lists = [self.lists(folder, task) for task in ("detection", "segmentation")]
        (folder / _RECORD).write_text(json.dumps({kind.kind: kind.fingerprint() for kind in lists}), encoding="utf-8")


@VOC_SETS.register("voc2007")
class Voc2007(_Official):
    """9 963 photographs with objects of 20 classes, trained on trainval (5 011) and tested on test (4 952); masks of 632."""

    year = "2007"
    published_title = "VOC 2007"
    published_aliases = ("PASCAL VOC 2007", "PASCAL VOC")
    archives = ("2007", "2007-test")

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        test = task_lists(folder, task, ("trainval", "test"))
        if is_folder(folder) and not is_there(test.path("test")) and is_there(test.path("trainval")):
            raise RotnetError(
                f"no list {test.path('test')}: VOC 2007 has its test images in an archive of their own. "
                f"Unpack {_archive('2007-test')['filename']} ({_archive('2007-test')['url']}) beside the "
                f"others, or delete {folder} to have all of it downloaded."
            )
        return test


@VOC_SETS.register("voc2012")
class Voc2012(_Official):
    """Photographs of the same 20 classes, trained on train (5 717, masks of 1 464), tested on val (5 823, masks of 1 449)."""

    year = "2012"
    published_title = "VOC 2012"
    published_aliases = ("PASCAL VOC 2012", "PASCAL VOC")
    archives = ("2012",)

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        return task_lists(folder, task, ("train", "val"))


def _recorded(record: Path) -> dict[str, Any]:
    """The fingerprints by kind of list in a record; none where there is no record, as of a copy made by hand.

    Raises RotnetError if it is damaged.
    """
    if not is_there(record):
        return {}
    remedy = f"Delete {shown(record.parent)} to have the set downloaded again; or that file, and the set is named as a copy."
    content = read_file(record, remedy, _MOST)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RotnetError(f"{shown(record)} is damaged ({error}). {remedy}") from None
    if not isinstance(found, dict):
        raise RotnetError(f"{shown(record)} is damaged (it holds {type(found).__name__}, not dict). {remedy}")
    return found


def _archive(key: str) -> dict[str, str]:
    """File name, address and MD5 of an archive, as torchvision has them."""
    from torchvision.datasets.voc import DATASET_YEAR_DICT  # takes seconds to import

    found: dict[str, str] = DATASET_YEAR_DICT[key]
    return found
