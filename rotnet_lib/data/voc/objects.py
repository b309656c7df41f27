"""What a VOC annotation says of an image: the boxes, classes and difficulty of its objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rotnet_lib.data.voc.xml_tree import Element, parse
from rotnet_lib.errors import RotnetError, shown, unknown

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 40
"""Characters."""


@dataclass(frozen=True)
class Objects:
    """The n objects of an image, in the annotation's order.

    Attributes:
        boxes: (n, 4) float32, left, top, right and bottom edge in pixels from the image's corner: VOC's `xmin - 1`,
            `ymin - 1`, `xmax`, `ymax`, which count pixels from 1 and name the first and the last. So `right - left` is the
            width, and plain intersection over union is that of the devkit with its `+ 1`.
        labels: (n,) int64, places in the set's classes.
        difficult: (n,) bool: not to be counted in an evaluation, found or not.
    """

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def read_objects(path: Path, classes: Sequence[str], size: tuple[int, int]) -> Objects:
    """An annotation file's objects.

    Args:
        path: VOC's XML.
        classes: the names an object may have.
        size: width and height of the image in pixels.

    Raises:
        RotnetError: naming file and line of broken XML, an object without a name or a box or with two, an unknown class, what
            is no number, a box that is empty or leaves the image, or an image size that is another than the image's.
    """
    root = _root(path)
    _check_size(path, root, size)
    elements = [child for child in root.children if child.tag == "object"]
    boxes = [_box(path, element, size) for element in elements]
    return Objects(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([_label(path, element, classes) for element in elements], np.int64),
        np.array([_difficult(path, element) for element in elements], bool),
    )


def class_names(path: Path) -> list[tuple[str, int]]:
    """Names of an annotation's objects and their lines. Raises RotnetError for broken XML and an object without a name."""
    names = [_name(path, child) for child in _root(path).children if child.tag == "object"]
    return [(name.text, name.line) for name in names]


def _root(path: Path) -> Element:
    root = parse(path)
    if root.tag != "annotation":
        raise RotnetError(f"{path}, line {root.line}: expected <annotation>, VOC's root element, not <{root.tag[:80]}>.")
    return root


def _check_size(path: Path, root: Element, size: tuple[int, int]) -> None:
    element = _only(path, root, "size")
    if element is None:  # as in a few hand-made sets; the image knows
        return
    for tag, pixels in zip(("width", "height"), size, strict=True):
        side = _child(path, element, tag)
        if _number(path, side) != pixels:
            raise RotnetError(
                f"{path}, line {side.line}: {tag} {side.text}, but the image is {size[0]} x {size[1]} pixels. Its boxes may "
                "have been drawn on another version of the image: put that there, or correct or remove <size>."
            )


def _name(path: Path, element: Element) -> Element:
    name = _child(path, element, "name")
    if not _text(path, name):
        raise RotnetError(f"{path}, line {name.line}: the object's name is empty.")
    return name


def _label(path: Path, element: Element, classes: Sequence[str]) -> int:
    name = _name(path, element)
    if name.text not in classes:
        raise RotnetError(f"{path}, line {name.line}: {unknown('class', name.text, classes)}")
    return classes.index(name.text)


def _difficult(path: Path, element: Element) -> bool:
    flag = _only(path, element, "difficult")
    if flag is None:
        return False
    if _text(path, flag) not in ("0", "1"):
        raise RotnetError(f"{path}, line {flag.line}: difficult is {shown(flag.text)}. Allowed: 0, 1.")
    return flag.text == "1"


def _box(path: Path, element: Element, size: tuple[int, int]) -> tuple[float, float, float, float]:
    box = _child(path, element, "bndbox")
    sides = [_child(path, box, tag) for tag in ("xmin", "ymin", "xmax", "ymax")]
    # Numbers, not integers: a few annotations of VOC 2011 and 2012 have fractions.
    left, top, right, bottom = (_number(path, side) for side in sides)
    if not (1 <= left <= right <= size[0] and 1 <= top <= bottom <= size[1]):
        name = element.first("name")
        of = f" of the {name.text[:80]}" if name else ""
        edges = ", ".join(f"{side.tag} {side.text}" for side in sides)
        wrong = "is empty" if right < left or bottom < top else f"does not lie in its image of {size[0]} x {size[1]} pixels"
        raise RotnetError(
            f"{path}, line {box.line}: the box{of} ({edges}) {wrong}. VOC counts pixels from 1: "
            f"1 <= xmin <= xmax <= {size[0]} and 1 <= ymin <= ymax <= {size[1]}. Correct the file."
        )
    return left - 1, top - 1, right, bottom


def _only(path: Path, element: Element, tag: str) -> Element | None:
    """The child of that tag; None: there is none. Raises RotnetError if there are two, of which one would go unread."""
    found = [child for child in element.children if child.tag == tag]
    if len(found) > 1:
        raise RotnetError(
            f"{path}, line {found[1].line}: a second <{tag}> in the {element.tag}, which has one on line {found[0].line}. "
            "Remove one."
        )
    return found[0] if found else None


def _child(path: Path, element: Element, tag: str) -> Element:
    child = _only(path, element, tag)
    if child is None:
        article = "an" if element.tag[0] in "aeiou" else "a"
        raise RotnetError(f"{path}, line {element.line}: {article} {element.tag} without <{tag}>.")
    return child


def _text(path: Path, element: Element) -> str:
    """What an element says. Raises RotnetError if elements stand in it, whose text would go unread."""
    if element.children:
        raise RotnetError(
            f"{path}, line {element.children[0].line}: <{element.children[0].tag[:80]}> has no place in <{element.tag}>."
        )
    return element.text


def _number(path: Path, element: Element) -> float:
    """What an element says, as a number. float alone would take 1_0 and nan too."""
    text = _text(path, element)
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise RotnetError(f"{path}, line {element.line}: {element.tag} is {shown(text)}, which is no number.")
    return float(text)
