"""Text files that say what images show: Places205's split files, the words of Tiny ImageNet's classes."""

import codecs
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.kinds.pictures import as_pillow_reads, noise
from campaigns.inputs.trial import Input
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.spec import DataSpec

_SIDE = 16
_PLACES = "data/places205"
_SPLITS = {"train": "train_places205.csv", "test": "val_places205.csv"}
_KINDS = ("a/abbey", "c/church/outdoor", "w/wharf")


class Places(FileKind):
    name = "places205"
    right = "each listed image with its own label and the class called by its folder, in the order of the list"
    form = "text"

    def prepare(self, folder: Path) -> None:
        (folder / _PLACES / "trainvalsplit_places205").mkdir(parents=True)
        for split in _SPLITS:
            lines: list[str] = []
            for label, kind in enumerate(_KINDS):
                for number in range(2):
                    name = f"{kind}/{split}_{number}.jpg"
                    path = folder / _PLACES / "images256" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(noise(len(lines) + 100 * (split == "test"), side=_SIDE)).save(path, "PNG")
                    lines.append(f"{name} {label}\n")
            self._list(folder, split).write_text("".join(lines))

    def _list(self, folder: Path, split: str) -> Path:
        return folder / _PLACES / "trainvalsplit_places205" / _SPLITS[split]

    def file(self, folder: Path) -> Path:
        return self._list(folder, "test")

    def donors(self, folder: Path) -> Iterable[Path]:
        return (self._list(folder, "train"),)

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        given = super().change(folder, good, rng)
        # A wrong path is told by the image that is not there.
        return Input(folder, good, given.what, (*given.culprits, "images256"))

    def read(self, given: Input) -> Any:
        data = load_dataset(DataSpec("places205", image_size=_SIDE), workers=0)
        images = data.test.read(range(len(data.test))).permute(0, 2, 3, 1).numpy()
        return data.classes, data.test.labels.tolist(), [image.tobytes() for image in images]

    def problem(self, given: Input, found: Any) -> str | None:
        classes, labels, images = found
        listed = [line.rpartition(b" ")[::2] for line in _lines(self.file(given.folder))]
        if classes != tuple(kind.partition("/")[2] for kind in _KINDS):
            return f"the classes {classes}"
        if labels != [int(label) for _, label in listed]:
            return f"the labels {labels}"
        for (name, _), image in zip(listed, images, strict=True):
            pixels = as_pillow_reads(given.folder / _PLACES / "images256" / name.decode().strip().lstrip("/"), _SIDE)
            if pixels is None or pixels.tobytes() != image:
                return f"another image than {name.decode()}"
        return None


def _lines(path: Path) -> list[bytes]:
    """Those of a file that hold something, ended by a line feed, with or without a carriage return before it."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    return [line.strip() for line in content.split(b"\n") if line.strip()]


_TINY = "data/tiny-imagenet-200"
_WORDS = {"n01": "cat, house cat", "n02": "dog", "n03": "crane, bird", "n04": "crane, machine"}


class Words(FileKind):
    name = "words"
    right = (
        "each class called by the first of its names, or by all of them where two share the first, as the line of its id "
        "says; a file that is ambiguous, or names two classes alike, is refused"
    )
    form = "text"

    def prepare(self, folder: Path) -> None:
        for split in ("train", "val"):
            for place, wnid in enumerate(_WORDS):
                path = folder / _TINY / split / wnid / "0.png"
                path.parent.mkdir(parents=True)
                Image.fromarray(noise(place, side=_SIDE)).save(path)
        lines = [f"{wnid}\t{names}\n" for wnid, names in _WORDS.items()]
        self.file(folder).write_text("".join([*lines, "n99\tnot among them\n"]))
        (folder / "other.txt").write_text("n01\tx\nn02\ty\n")

    def file(self, folder: Path) -> Path:
        return folder / _TINY / "words.txt"

    def donors(self, folder: Path) -> Iterable[Path]:
        return (folder / "other.txt",)

    def read(self, given: Input) -> Any:
        return load_dataset(DataSpec("tiny-imagenet", image_size=_SIDE), workers=0).classes

    def problem(self, given: Input, found: Any) -> str | None:
        lines = [line.removesuffix("\r") for line in self.file(given.folder).read_bytes().decode("utf-8-sig").split("\n")]
        said = [(wnid, names) for wnid, tab, names in (line.partition("\t") for line in lines) if tab]
        names = {}
        for wnid in _WORDS:
            of_wnid = {names for other, names in said if other == wnid}
            if len(of_wnid) != 1:
                return f"{wnid} stands there with {len(of_wnid)} names"
            [names[wnid]] = of_wnid
        first = [text.split(",")[0].strip() for text in names.values()]
        expected = tuple(
            one if first.count(one) == 1 else text.strip() for one, text in zip(first, names.values(), strict=True)
        )
        if found != expected:
            return f"{found} in place of {expected}"
        return None if len(set(found)) == len(found) and all(found) else f"two classes of one name, or one without: {found}"
