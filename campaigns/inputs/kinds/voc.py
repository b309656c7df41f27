"""Files of a set in VOC's layout: annotations, masks (SBD's too), images, lists, the classes' names."""

import math
import os
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from scipy.io import loadmat, savemat

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.trial import Input
from rotnet_lib.data.voc.sbd import read_sbd_mask
from rotnet_lib.data.voc.sets import VocSet, open_voc
from rotnet_lib.data.voc.source import VocTaskName
from rotnet_lib.data.voc.writing import write_scenes

_SET = "scenes"


class VocFile(FileKind):
    """A file of a set of six training and four test scenes."""

    task: ClassVar[VocTaskName] = "detection"
    path: ClassVar[str]
    others: ClassVar[tuple[str, ...]]

    def prepare(self, folder: Path) -> None:
        (folder / _SET).mkdir()
        write_scenes(folder / _SET, 64, 6, 4, workers=0)

    def file(self, folder: Path) -> Path:
        return folder / _SET / self.path

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / _SET / other for other in self.others]

    def open(self) -> VocSet:
        return open_voc(f"voc:{_SET}", self.task)


class Annotation(VocFile):
    name = "voc-xml"
    right = "the boxes (from 0), classes and flags that the standard library's XML reader finds, all within the image"
    form = "text"
    path = "Annotations/train_000000.xml"
    others = ("Annotations/train_000001.xml", "classes.txt")

    def read(self, given: Input) -> Any:
        voc = self.open()
        return voc.classes, voc.train.objects(0)

    def problem(self, given: Input, found: Any) -> str | None:
        classes, objects = found
        root = ElementTree.fromstring(self.file(given.folder).read_bytes())
        with Image.open(given.folder / _SET / "JPEGImages/train_000000.jpg") as image:
            size = image.size
        boxes, labels, difficult = [], [], []
        for element in root.findall("object"):
            left, top, right, bottom = (float(_text(element, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((left - 1, top - 1, right, bottom))
            labels.append(classes.index(_text(element, "name")))
            difficult.append(_text(element, "difficult") == "1" if element.find("difficult") is not None else False)
        if not np.array_equal(objects.boxes, np.array(boxes, np.float32).reshape(-1, 4)):
            return f"the boxes {objects.boxes.tolist()}"
        if objects.labels.tolist() != labels or objects.difficult.tolist() != difficult:
            return "other classes or flags"
        inside = all(0 <= left < right <= size[0] and 0 <= top < bottom <= size[1] for left, top, right, bottom in boxes)
        return None if inside and all(map(math.isfinite, sum(boxes, ()))) else "a box that leaves the image"


def _text(element: ElementTree.Element, path: str) -> str:
    found = element.find(path)
    assert found is not None, path
    return ((found.text or "") + "".join(child.tail or "" for child in found)).strip()


class Mask(VocFile):
    name = "voc-mask"
    right = "the values that Pillow reads, of the image's size, each 0, a class or 255"
    task = "segmentation"
    path = "SegmentationClass/train_000000.png"
    others = ("SegmentationClass/train_000001.png", "JPEGImages/train_000000.jpg")

    def read(self, given: Input) -> Any:
        voc = self.open()
        return voc.train.mask(0), len(voc.classes)

    def problem(self, given: Input, found: Any) -> str | None:
        mask, classes = found
        try:
            with Image.open(self.file(given.folder)) as image:
                expected = np.asarray(image) if image.mode in ("P", "L") else None
        except Exception:  # whatever Pillow makes of it: it is no image
            expected = None
        if expected is None:
            return "a mask that Pillow refuses, or that is neither a palette image nor a grey one"
        if not np.array_equal(mask, expected):
            return "other values than Pillow's"
        return None if np.isin(mask, [*range(classes + 1), 255]).all() else "values of no class"


class SbdMask(FileKind):
    name = "sbd-mask"
    right = "the mask that scipy reads, of the image's size, each id 0, a class or 255"

    def prepare(self, folder: Path) -> None:
        Image.new("RGB", (40, 30)).save(folder / "a.jpg")
        for number, name in enumerate(("a", "b")):
            mask = np.random.default_rng(number).integers(0, 21, (30, 40), dtype=np.uint8)
            savemat(folder / f"{name}.mat", {"GTcls": {"Segmentation": mask}}, do_compression=number == 0)

    def file(self, folder: Path) -> Path:
        return folder / "a.mat"

    def donors(self, folder: Path) -> Iterable[Path]:
        return [folder / "b.mat", folder / "a.jpg"]

    def read(self, given: Input) -> Any:
        return read_sbd_mask(self.file(given.folder), given.folder / "a.jpg")

    def problem(self, given: Input, found: Any) -> str | None:
        expected = loadmat(self.file(given.folder))["GTcls"]["Segmentation"][0, 0]
        if found.dtype != np.uint8 or not np.array_equal(found, expected):
            return "other ids than scipy's"
        right = found.shape == (30, 40) and np.isin(found, [*range(21), 255]).all()
        return None if right else "ids of no class, or of other pixels"


class VocImage(VocFile):
    name = "voc-image"
    right = "the pixels that Pillow reads, as they are stored"
    path = "JPEGImages/train_000000.jpg"
    others = ("JPEGImages/train_000001.jpg", "SegmentationClass/train_000000.png")

    def read(self, given: Input) -> Any:
        return self.open().train.image(0)

    def problem(self, given: Input, found: Any) -> str | None:
        try:
            with Image.open(self.file(given.folder)) as image:
                expected = np.asarray(image.convert("RGB"))
        except Exception:  # whatever Pillow makes of it: it is no image
            return "an image that Pillow refuses"
        return None if np.array_equal(found, expected) else "other pixels than Pillow's"


class SplitList(VocFile):
    name = "voc-list"
    right = "the ids in the list, in its order, each once, each with an image and an annotation; without a list, those of train"
    form = "text"
    path = "ImageSets/Main/trainval.txt"
    others = ("ImageSets/Main/test.txt", "classes.txt", "Annotations/train_000000.xml")

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        given = super().change(folder, good, rng)
        # Without this list the set is another: of train and val.
        return Input(folder, good, given.what, (*given.culprits, "Main"))

    def read(self, given: Input) -> Any:
        voc = self.open()
        return voc.train.name, voc.train.names

    def problem(self, given: Input, found: Any) -> str | None:
        split, names = found
        path = self.file(given.folder)
        if split != "trainval":
            if os.path.lexists(path):
                return f"{split} was read in its place, and nothing says so"
            path = path.with_name("train.txt")
        expected = path.read_bytes().decode("utf-8-sig").split()
        if list(names) != expected:
            return f"the ids {names}"
        there = all(
            (given.folder / _SET / place).is_file()
            for id_ in names
            for place in (f"JPEGImages/{id_}.jpg", f"Annotations/{id_}.xml")
        )
        return None if there and len(set(names)) == len(names) else "an id twice, or without its files"


class ClassList(VocFile):
    name = "class-list"
    right = "the names in the file, one a line, each once"
    form = "text"
    path = "classes.txt"
    others = ("ImageSets/Main/trainval.txt",)

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        given = super().change(folder, good, rng)
        # A name that was changed is missing for the objects that have it: told where they stand.
        return Input(folder, good, given.what, (*given.culprits, "unknown class"))

    def read(self, given: Input) -> Any:
        voc = self.open()
        for index in range(len(voc.train)):
            voc.train.objects(index)
        return voc.classes

    def problem(self, given: Input, found: Any) -> str | None:
        path = self.file(given.folder)
        lines = re.split(r"\r\n|\n|\r", path.read_bytes().decode("utf-8-sig"))
        expected = [line.strip() for line in lines if line.strip()]
        if list(found) != expected:
            return f"the names {found}"[:300]
        return None if len(set(found)) == len(found) else "a name twice"
