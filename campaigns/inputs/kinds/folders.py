"""Folders of images in which something is misplaced, oddly named, or no image."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from campaigns.inputs.kinds.pictures import as_pillow_reads
from campaigns.inputs.mutations import change_path
from campaigns.inputs.trial import Input, Kind
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.spec import DataSpec

_DATA, _SIDE = "data", 16
_CLASSES = ("cat", "dog", "owl")
_SPLITS = {"train": 3, "test": 2}

_ODD_NAMES: tuple[bytes, ...] = (
    *(
        b"\xff\xfe",
        b"new\nline",
        b"\x1b[31m",
        b"e\xcc\x81",
        b"\xc3\xa9",
        b" ",
        b"'",
        b'"',
        b"$x^2$",
        b"-rf",
        b"#",
        b"%s",
        b"a" * 240,
    ),
    *(b".hidden", b"Cat", b"__MACOSX", b"con", b"\xed\xa0\x80", "\u202e".encode(), b"cat.png", b"0", b"all"),
)


class ImageFolder(Kind):
    name = "folder"
    right = (
        "the classes are the folders that hold images, each image with its own folder's label, none missing and none twice; "
        "what is not read is named"
    )

    def prepare(self, folder: Path) -> None:
        for split, count in _SPLITS.items():
            for kind in _CLASSES:
                (folder / _DATA / split / kind).mkdir(parents=True)
                for number in range(count):
                    colour = (70 * _CLASSES.index(kind) + 20, 90 * (split == "test") + 60, 50 * number + 40)
                    Image.new("RGB", (_SIDE, _SIDE), colour).save(folder / _DATA / split / kind / f"{number}.png")

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        data, said, culprits = folder / _DATA, [], {_DATA}
        for _ in range(rng.choice((1, 1, 2))):
            files = sorted(path for path in data.rglob("*.png") if path.is_file())
            if not files:
                break
            path = rng.choice(files)
            what = rng.choice(_WAYS)(path, data, rng)
            said.append(f"{path.relative_to(data)}: {what}")
            culprits |= {path.name, path.parent.name, path.parent.parent.name}
        return Input(folder, good, "; ".join(map(ascii, said)), tuple(sorted(culprits)))

    def read(self, given: Input) -> Any:
        data = load_dataset(DataSpec(f"imagefolder:{_DATA}", image_size=_SIDE), workers=0)
        found = []
        for split, part in zip(("train", "test"), (data.train, data.test), strict=True):
            images = part.read(range(len(part))).permute(0, 2, 3, 1).numpy()
            found += [
                (split, data.classes[label], image.tobytes()) for image, label in zip(images, part.labels.tolist(), strict=True)
            ]
        return found, data.skipped

    def problem(self, given: Input, found: Any) -> str | None:
        images, skipped = found
        test = "val" if (given.folder / _DATA / "val").is_dir() and not (given.folder / _DATA / "test").is_dir() else "test"
        expected, others = [], []
        for split, name in (("train", "train"), ("test", test)):
            for kind, path in _entries(given.folder / _DATA / name):
                pixels = as_pillow_reads(path, _SIDE) if _is_image(path) else None
                if pixels is None:
                    others.append(path.name)
                else:
                    expected.append((split, os.fsdecode(kind), pixels.tobytes()))
        if Counter(images) != Counter(expected):
            return f"{len(images)} images, which are not the {len(expected)} that are there, each of its class"
        return f"{', '.join(map(ascii, others))} was left out, and nothing says so" if others and not skipped else None


def _entries(split: Path) -> Iterator[tuple[str, Path]]:
    """(class, path) of all that is in the folders of a split, what is hidden left out."""
    for kind in sorted(os.scandir(split), key=lambda entry: entry.name):
        if kind.is_dir() and not _is_hidden(kind.name):
            yield from ((kind.name, Path(entry.path)) for entry in os.scandir(kind.path) if not _is_hidden(entry.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (".png", ".jpg", ".jpeg", ".gif", ".bmp")


def _move(path: Path, name: bytes) -> None:
    os.rename(path, os.path.join(os.fsencode(path.parent), name))


def _renamed(path: Path, data: Path, rng: random.Random) -> str:
    name = rng.choice(_ODD_NAMES) + rng.choice((b".png", b".PNG", b"", b".heic", b".png.txt", b".jpg"))
    _move(path, name)
    return f"was renamed {name[:40]!r}"


def _class_renamed(path: Path, data: Path, rng: random.Random) -> str:
    name = rng.choice(_ODD_NAMES)
    for split in rng.choice((("train",), ("test",), ("train", "test"), ("train", "test"))):
        if (data / split / path.parent.name).is_dir():
            _move(data / split / path.parent.name, name)
    return f"its class was renamed {name[:40]!r}"


def _another_thing(path: Path, data: Path, rng: random.Random) -> str:
    return change_path(path, rng)


def _emptied(path: Path, data: Path, rng: random.Random) -> str:
    path.write_bytes(rng.choice((b"", b"x", b"<html>not found</html>", path.read_bytes()[:40])))
    return "is no image"


def _class_emptied(path: Path, data: Path, rng: random.Random) -> str:
    shutil.rmtree(path.parent)
    if rng.random() < 0.5:
        path.parent.mkdir()
        return "its class is empty"
    return "its class is missing"


def _others_beside(path: Path, data: Path, rng: random.Random) -> str:
    name = rng.choice(
        ("notes.txt", "a.heic", "a.avif", "Thumbs.db", ".DS_Store", "nested/1.png", "a.eps", "no-extension", "link.png")
    )
    other = path.parent / name
    other.parent.mkdir(exist_ok=True)
    if name == "link.png":
        other.symlink_to(path.name)
    else:
        other.write_bytes(path.read_bytes())
    return f"{name} lies beside it"


def _outside_class(path: Path, data: Path, rng: random.Random) -> str:
    target = rng.choice((path.parent.parent, data)) / "loose.png"
    shutil.copy(path, target)
    return "a copy lies in no class"


def _split_changed(path: Path, data: Path, rng: random.Random) -> str:
    split = path.parent.parent
    if split.name not in _SPLITS or not split.is_dir() or (data / ".away").exists():
        return "nothing was changed"
    way = rng.choice(("is missing", "is called val", "is a file", "is a link to the other", "is empty"))
    other = data / ("test" if split.name == "train" else "train")
    split.rename(data / ("val" if way == "is called val" else ".away"))
    if way == "is a file":
        split.write_bytes(b"")
    elif way == "is a link to the other":
        split.symlink_to(other)
    elif way == "is empty":
        split.mkdir()
    return f"the split {way}"


def _class_is(path: Path, data: Path, rng: random.Random) -> str:
    way = rng.choice(("a named pipe", "a link to itself", "a link to another class", "a file"))
    kind = path.parent
    shutil.rmtree(kind)
    if way == "a named pipe":
        os.mkfifo(kind)
    elif way == "a file":
        kind.write_bytes(b"")
    else:
        kind.symlink_to(kind.name if way == "a link to itself" else next(name for name in _CLASSES if name != kind.name))
    return f"its class is {way}"


_WAYS: tuple[Callable[[Path, Path, random.Random], str], ...] = (
    *(_renamed, _renamed, _class_renamed, _another_thing, _another_thing, _emptied, _class_emptied, _others_beside),
    *(_outside_class, _split_changed, _class_is),
)
