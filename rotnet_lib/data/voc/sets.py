"""Sets of images with objects by name: opened for a task."""

from dataclasses import dataclass

from rotnet_lib.data.source import split_name
from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.source import VOC_SETS, VocSource, VocTaskName
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.errors import RotnetError

_FOLDER = "/path/to/VOCdevkit/VOC2007"
"""A folder in VOC's layout, as an example in messages."""


@dataclass(frozen=True)
class VocSet:
    """A set opened for a task.

    Attributes:
        name: by which it was asked for (`"voc2007"`).
        title: what a report calls it (`"VOC 2007"`).
        classes: as annotations call them; label i is the class at place i, id 1 + i in a mask.
        short: as tables print them (`"aero"`).
        fingerprint: that of `voc_fingerprint`.
        train, test: its splits.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    short: tuple[str, ...]
    fingerprint: str
    train: VocSplit
    test: VocSplit


def open_voc(name: str, task: VocTaskName, train_size: int | None = None, test_size: int | None = None) -> VocSet:
    """The set of that name: downloaded or drawn if need be, its lists read and their files found. No image is read yet.

    | set | classification, detection | segmentation |
    | --- | --- | --- |
    | `voc2007` | trainval -> test | trainval -> test |
    | `voc2012` | train -> val | train -> val |
    | `voc2011-sbd` | | SBD's train -> seg11valid of VOC 2011 |
    | `voc:/path` | trainval -> test if both lists are there, else train -> val | the same |
    | `scenes`, `scenes:128` | trainval -> test | trainval -> test |

    Args:
        name: of the set.
        task: classification and detection need an annotation of each image, segmentation a mask.
        train_size, test_size: the first so many images of the lists, None: all; so many scenes are drawn.

    Raises:
        RotnetError: no such set, or not for that task; its data is not here and cannot be brought; a list is wrong or a listed
            file missing, with file and line; more images asked for than there are.
    """
    source = _source(name, task)
    sizes = {"train_size": train_size, "test_size": test_size}
    for field, size in sizes.items():
        if size is not None and size < 1:
            raise RotnetError(f"{field}: {size} images are too few. Take 1 or more, or leave it out to have all.")
    lists = source.lists(source.folder(train_size, test_size), task)
    ids = lists.read()
    classes = source.classes(lists)
    splits = []
    for (field, size), split, names in zip(sizes.items(), lists.splits, ids, strict=True):
        if size is not None and size > len(names):
            raise RotnetError(f"{field}: {size} images asked for, but {lists.path(split)} lists {len(names)}.")
        splits.append(VocSplit(lists.folder, classes, split, names[:size]))
    short = tuple(VOC_CLASSES[kind] for kind in classes) if classes == tuple(VOC_CLASSES) else classes
    return VocSet(name, source.title, classes, short, source.fingerprint(task), *splits)


def voc_fingerprint(name: str, task: VocTaskName) -> str:
    """What the name of a run on a set hashes: changes when the images, annotations or lists of the task's splits change.

    Nothing is downloaded or drawn for it: that of `voc2007` and `voc2012` is known before they are here, and the same when
    they were downloaded. How many images are asked for is not in it, being a parameter of the run.

    Raises RotnetError where `open_voc` would for lists and missing files.
    """
    return _source(name, task).fingerprint(task)


def voc_counts(name: str, task: VocTaskName) -> tuple[int, int] | None:
    """See `VocSource.count`. Raises RotnetError for an unknown set too."""
    source, argument = split_name(name, VOC_SETS, _FOLDER)
    return source.count(argument, task)


def _source(name: str, task: VocTaskName) -> VocSource:
    source, argument = split_name(name, VOC_SETS, _FOLDER)
    if task not in source.tasks:
        able = ", ".join(other for other in VOC_SETS if task in VOC_SETS[other].tasks)
        raise RotnetError(f"VOC set '{name}' is for {', '.join(source.tasks)}, not for {task}. Sets that are: {able}.")
    return source(argument)
