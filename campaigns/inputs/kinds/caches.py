"""What the library keeps for later: decoded images, proposals."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.kinds.tensors import rewrite
from campaigns.inputs.trial import Input
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.voc.proposals import find_proposals
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.data.voc.writing import write_scenes

_CACHE = "cache"
_REWRITTEN = 0.4
"""Share of trials in which the file is a whole one of other content."""


class DecodedImages(FileKind):
    name = "decoded"
    right = "the images and labels that were decoded, bit for bit"

    def prepare(self, folder: Path) -> None:
        self._load()

    def _load(self) -> Any:
        return load_dataset(DataSpec("shapes", image_size=16, train_size=20, test_size=10))

    def file(self, folder: Path) -> Path:
        return self._of_split(folder, "test")

    def _of_split(self, folder: Path, split: str) -> Path:
        return sorted((folder / _CACHE).glob(f"shapes-*-{split}-*.safetensors"))[0]

    def donors(self, folder: Path) -> Iterable[Path]:
        return (self._of_split(folder, "train"),)

    def change_file(self, path: Path, donors: list[bytes], rng: random.Random) -> str:
        return rewrite(path, rng) if rng.random() < _REWRITTEN else super().change_file(path, donors, rng)

    def read(self, given: Input) -> Any:
        test = self._load().test
        return test.images.numpy(), test.labels.numpy(), test.damaged

    def problem(self, given: Input, found: Any) -> str | None:
        images, labels, damaged = found
        good = safetensors.numpy.load_file(self.file(given.good))
        if not np.array_equal(images, good["images"]):
            return "other images"
        if not np.array_equal(labels, good["labels"]):
            return "other labels"
        return f"{damaged} is said to be damaged" if damaged else None


class ProposalsFile(FileKind):
    name = "proposals"
    right = "the boxes, and to which image they belong, that were found; their recall"

    def prepare(self, folder: Path) -> None:
        (folder / "scenes").mkdir()
        write_scenes(folder / "scenes", 64, 3, 2, workers=0)
        for split in ("test", "trainval"):
            self._find(folder, split)

    def _find(self, folder: Path, split: str) -> Any:
        ids = (folder / "scenes/ImageSets/Main" / f"{split}.txt").read_text().split()
        classes = tuple((folder / "scenes/classes.txt").read_text().split())
        return find_proposals(VocSplit(folder / "scenes", classes, split, tuple(ids)), "fingerprint", workers=0)

    def file(self, folder: Path) -> Path:
        return self._of_split(folder, "test")

    def _of_split(self, folder: Path, split: str) -> Path:
        return next(path for path in sorted((folder / _CACHE).iterdir()) if path.match(f"proposals-{split}-*.npz"))

    def donors(self, folder: Path) -> Iterable[Path]:
        return (self._of_split(folder, "trainval"),)

    def change_file(self, path: Path, donors: list[bytes], rng: random.Random) -> str:
        return _broken_tables(path, rng) if rng.random() < _REWRITTEN else super().change_file(path, donors, rng)

    def read(self, given: Input) -> Any:
        return self._find(given.folder, "test")

    def problem(self, given: Input, found: Any) -> str | None:
        with np.load(self.file(given.good)) as good:
            boxes, starts, (hits, objects) = good["boxes"], good["starts"], good["counted"]
        if not np.array_equal(found.boxes, boxes):
            return "other boxes"
        if not np.array_equal(found.starts, starts):
            return "other places"
        return None if found.recall == hits / objects else f"a recall of {found.recall}"


def _broken_tables(path: Path, rng: random.Random) -> str:
    """Write a whole file whose tables cannot be those of any search."""
    with np.load(path) as file:
        tables = {name: file[name] for name in file.files}
    name = rng.choice(sorted(tables))
    table = tables[name]
    way = rng.choice(("not a number", "negative", "huge", "missing", "type", "shape", "reversed", "empty", "text", "objects"))
    if way == "missing":
        del tables[name]
    elif way in ("not a number", "negative", "huge"):
        changed = table.astype(np.float32 if name == "boxes" else np.int64)
        value = {"not a number": np.nan if name == "boxes" else -1, "negative": -1, "huge": 2**40}[way]
        changed.reshape(-1)[rng.randrange(changed.size)] = value
        tables[name] = changed
    else:
        tables[name] = {
            "type": lambda: table.astype(np.complex64),
            "shape": lambda: table[None],
            "reversed": lambda: table[:, ::-1] if table.ndim == 2 else table[::-1],
            "empty": lambda: table[:0],
            "text": lambda: table.astype(str),
            "objects": lambda: table.astype(object),
        }[way]()
    np.savez(path, **tables)
    return f"a file of other content: {name}: {way}"
