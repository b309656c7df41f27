"""What a set in VOC's layout has to offer, and the register of those there are.

A new set is a file with a subclass of `VocSource` under `@VOC_SETS.register("name")`, and its import in `sets.py`.
"""

from pathlib import Path
from typing import ClassVar, Literal

from rotnet_lib.data.source import Argument
from rotnet_lib.data.voc.lists import Lists
from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES, MASKS
from rotnet_lib.registry import Registry

VocTaskName = Literal["classification", "detection", "segmentation"]


class VocSource:
    """A set that may be opened.

    Attributes:
        title: what a report calls it.
        tasks: for which it has what they need.
        argument: what follows the colon in its name.
        published_title: the name under which published figures give results on it; None: none do.
        published_aliases: what else titles and rows of published tables call it.
    """

    title: str
    tasks: ClassVar[tuple[VocTaskName, ...]] = ("classification", "detection", "segmentation")
    argument: ClassVar[Argument] = "none"
    published_title: ClassVar[str | None] = None
    published_aliases: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def spoken(cls, argument: str) -> str | None:
        """What a title calls the set, where `title` says more than fits there; None: `title`.

        Args:
            argument: what follows the colon in the set's name.
        """
        return None

    @classmethod
    def count(cls, argument: str, task: VocTaskName) -> tuple[int, int] | None:
        """How many training and test images the user's own set has, without reading any; None: the set is not the user's own.

        Args:
            argument: what follows the colon in the set's name.
            task: whose lists count.

        Raises RotnetError if the set is missing.
        """
        return None

    def __init__(self, argument: str) -> None:
        """`argument` is what follows the colon in the set's name, "" if there is none."""
        raise NotImplementedError

    def fingerprint(self, task: VocTaskName) -> str:
        """Changes when the images, annotations or lists of the task change. Known without downloading or drawing."""
        raise NotImplementedError

    def folder(self, train_size: int | None, test_size: int | None) -> Path:
        """The set's folder in VOC's layout, downloaded or drawn first if it is missing. Sizes matter for drawn sets only."""
        raise NotImplementedError

    def lists(self, folder: Path, task: VocTaskName) -> Lists:
        """What the task's splits are called and need."""
        raise NotImplementedError

    def classes(self, lists: Lists) -> tuple[str, ...]:
        """The classes' names, as annotations have them."""
        raise NotImplementedError


VOC_SETS = Registry[type[VocSource]]("VOC set")


def task_lists(folder: Path, task: VocTaskName, splits: tuple[str, str]) -> Lists:
    """The lists of a task: classification and detection need annotations (`Main`), segmentation masks."""
    if task == "segmentation":
        return Lists(folder, "Segmentation", splits, (IMAGES, MASKS))
    return Lists(folder, "Main", splits, (IMAGES, ANNOTATIONS))
