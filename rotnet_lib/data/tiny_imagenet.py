"""`tiny-imagenet`: ImageNet's small sibling, as folders of images."""

from pathlib import Path

from rotnet_lib.data.listing import fingerprint, list_images, same_classes
from rotnet_lib.data.opening import is_folder, read_lines, shown
from rotnet_lib.data.source import DATASETS, QUICK, Source, data_root, resized_side
from rotnet_lib.errors import RotnetError

_WORDS = "words.txt"
_MOST = 2**23
"""Bytes of that file, of which the original, with all of WordNet's nouns, has 3 MB."""
_EXPECTED = "Expected lines of a WordNet id, a tab and the class's names, as in the original."


@DATASETS.register("tiny-imagenet")
class TinyImageNet(Source):
    """Photographs of 200 of ImageNet's classes (or of 100 of those), 64 x 64, some of them grey.

    In `ROTNET_DATA` as `tiny-imagenet-200` or `tiny-imagenet-100`, each `{train,val}/<wnid>/*.JPEG` and `words.txt` with lines
    of a WordNet id, a tab and the class's names. The original archive has the images of a class in `images/` below its
    folder, and those of `val/` in one folder, by `val_annotations.txt`: they are to be moved. Where both are there, the larger
    is taken. A network sees 64 x 64 unless said otherwise: cut out of images that were enlarged for it if `crop_pct` is below
    1.
    """

    usual_size = 64

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None:
        self.image_size = image_size or self.usual_size
        self.side = resized_side(self.image_size, crop_pct)
        folders = [data_root() / f"tiny-imagenet-{classes}" for classes in (200, 100)]
        self._root = next((folder for folder in folders if is_folder(folder)), folders[0])
        if not is_folder(self._root):
            raise RotnetError(
                f"no folder {self._root}, nor {folders[1].name}. Expected {self._root}/{{train,val}}/<wnid>/*.JPEG and "
                f"{_WORDS}. Put it there, or set ROTNET_DATA to a folder that has it. {QUICK}"
            )
        self.files = {"train": list_images(self._root / "train"), "test": list_images(self._root / "val")}
        wnids = same_classes(self.files, self._root)
        self.classes = _class_names(self._root / _WORDS, wnids)
        self.title = f"Tiny ImageNet-{len(wnids)}"
        self.fingerprint = fingerprint(self.files, self.side)

    def location(self) -> str:
        return shown(self._root)


def _class_names(path: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """What the classes are called: the first of their names; where two classes share that, all of them; or these with the wnid.

    Raises RotnetError if the file is not there or lacks a class, and naming a line that is wrong.
    """
    words: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in read_lines(path, _EXPECTED, _MOST):
        wnid, _, names = (part.strip() for part in line.partition("\t"))
        if not wnid or not names.split(",")[0].strip():
            raise RotnetError(f"{shown(path)}, line {number}: '{line[:80]}' is not a WordNet id, a tab and names. {_EXPECTED}")
        if wnid in words:
            raise RotnetError(f"{shown(path)}, line {number}: {wnid[:80]} is on line {lines[wnid]} already. Take one out.")
        words[wnid], lines[wnid] = names, number
    missing = [wnid for wnid in wnids if wnid not in words]
    if missing:
        raise RotnetError(f"{shown(path)} names no class {', '.join(missing[:5])}, of which there are images. {_EXPECTED}")
    called = tuple(words[wnid].split(",")[0].strip() for wnid in wnids)
    for more in (lambda wnid: words[wnid], lambda wnid: f"{words[wnid]} ({wnid})"):
        called = tuple(name if called.count(name) == 1 else more(wnid) for name, wnid in zip(called, wnids, strict=True))
    return called
