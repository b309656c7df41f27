"""Image files in all formats that are read: decoded into memory, and streamed."""

import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from campaigns.inputs.kinds.files import FileKind
from campaigns.inputs.kinds.pictures import SIDE, as_pillow_reads, noise, write_formats
from campaigns.inputs.trial import Input
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.spec import DataSpec

_FORMATS, _DATA = "formats", "data"


class ImageFile(FileKind):
    """An image file among a few others in a folder of classes."""

    name = "image"
    right = "the pixels that Pillow reads, bit for bit; what Pillow refuses, or would clip, is refused"
    streamed: ClassVar[bool] = False

    def prepare(self, folder: Path) -> None:
        (folder / _FORMATS).mkdir()
        write_formats(folder / _FORMATS)
        for number, place in enumerate(("train/a", "train/b", "test/b")):
            (folder / _DATA / place).mkdir(parents=True)
            Image.fromarray(noise(10 + number)).save(folder / _DATA / place / "0.png")
        (folder / _DATA / "test/a").mkdir()

    def file(self, folder: Path) -> Path:
        [path] = (folder / _DATA / "test/a").iterdir()
        return path

    def donors(self, folder: Path) -> Iterable[Path]:
        return sorted((folder / _FORMATS).iterdir())

    def unchanged(self, folder: Path, good: Path) -> Input:
        shutil.copy(folder / _FORMATS / "rgb.png", folder / _DATA / "test/a")
        return Input(folder, good)

    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        shutil.copy(rng.choice(list(self.donors(folder))), folder / _DATA / "test/a")
        given = super().change(folder, good, rng)
        # What stands in its place may be no file, so that its class has none.
        return Input(folder, good, given.what, (*given.culprits, "test/a", ": a in only one of them"))

    def read(self, given: Input) -> Any:
        data = load_dataset(DataSpec(f"imagefolder:{_DATA}", image_size=SIDE, stream=self.streamed), workers=0)
        images = data.test.read(range(len(data.test))).permute(0, 2, 3, 1).numpy()
        return images, data.test.labels.tolist(), data.classes

    def problem(self, given: Input, found: Any) -> str | None:
        images, labels, classes = found
        if (labels, classes) != ([0, 1], ("a", "b")):
            return f"labels {labels} of classes {classes}"
        paths = [
            next(path for path in (given.folder / _DATA / "test" / kind).iterdir() if path.name[0] != ".") for kind in classes
        ]
        for image, path in zip(images, paths, strict=True):
            expected = as_pillow_reads(path)
            if expected is None:
                return f"{path.name} was read, and Pillow refuses it or would clip it"
            if difference := self.difference(image, expected):
                return f"{path.name}: {difference}"
        return None

    def difference(self, image: np.ndarray, expected: np.ndarray) -> str | None:
        return None if np.array_equal(image, expected) else "other pixels than Pillow's"


class StreamedImage(ImageFile):
    name = "image-streamed"
    right = (
        "the pixels that Pillow reads, but for rounding (torchvision decodes JPEG, torch resizes): at most 2 levels in 99 % of "
        "the values; what Pillow refuses, or would clip, is refused"
    )
    streamed = True

    def difference(self, image: np.ndarray, expected: np.ndarray) -> str | None:
        levels = np.abs(image.astype(int) - expected)
        share = float((levels <= 2).mean())
        return (
            None if share >= 0.99 else f"{100 * (1 - share):.0f} % of the values differ from Pillow's, by up to {levels.max()}"
        )
