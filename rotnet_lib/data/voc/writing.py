"""Drawn scenes as files in VOC's layout, for the same readers as photographs."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from rotnet_lib.data.shapes.scenes import KINDS, Scene, scene
from rotnet_lib.data.voc.folder import CLASSES
from rotnet_lib.data.voc.split import ANNOTATIONS, IMAGES, MASKS

SCENES_VERSION = 1
"""Part of the fingerprint: raise it when any scene, its file or its annotation changes. The version of `shapes` is too."""

QUALITY = 95
"""Of the images' JPEG compression."""

_A_TASK = 16

_Task = list[tuple[str, str, int]]
"""Scenes: id, split of the drawing, index in that."""


def write_scenes(folder: Path, side: int, train: int, test: int, workers: int | None = None) -> None:
    """Fill a folder with `train` + `test` scenes in VOC's layout, with a progress bar.

    `ImageSets/Main` and `/Segmentation` are the same: `trainval` (of which the first half is `train`, the rest `val`) and
    `test`. `classes.txt` names the classes. A larger set begins with the smaller, image by image.

    Args:
        folder: that exists.
        side: of a picture, the longer one, in pixels.
        train, test: how many scenes.
        workers: processes that draw; None: one a core.
    """
    from rotnet_lib.data.pool import in_workers, worker_count  # imports torch

    for name in (IMAGES, ANNOTATIONS, MASKS):
        (folder / name).mkdir()
    (folder / CLASSES).write_text("".join(f"{kind}\n" for kind in KINDS), encoding="utf-8")
    ids = {split: [f"{split}_{index:06}" for index in range(count)] for split, count in (("train", train), ("test", test))}
    half = (train + 1) // 2
    lists = {"trainval": ids["train"], "train": ids["train"][:half], "val": ids["train"][half:], "test": ids["test"]}
    _write_lists(folder, lists)
    scenes = [(id_, split, index) for split, names in ids.items() for index, id_ in enumerate(names)]
    tasks: Iterator[_Task] = (scenes[start : start + _A_TASK] for start in range(0, len(scenes), _A_TASK))
    bar = tqdm(desc=f"drawing scenes of {side} pixels", total=len(scenes), unit=" scenes", leave=False)
    with bar, closing(in_workers(_Write(folder, side), tasks, worker_count(workers))) as counts:
        for count in counts:
            bar.update(count)


class _Write:
    """A worker's job: draw and write some of the scenes."""

    def __init__(self, folder: Path, side: int) -> None:
        self.folder, self.side = folder, side

    def __call__(self, task: _Task) -> int:
        for id_, split, index in task:
            write_scene(self.folder, id_, scene(split, index, self.side))
        return len(task)


def write_scene(folder: Path, id_: str, drawn: Scene) -> None:
    """A scene's image, annotation and mask."""
    Image.fromarray(drawn.image).save(folder / IMAGES / f"{id_}.jpg", quality=QUALITY)
    (folder / ANNOTATIONS / f"{id_}.xml").write_text(annotation(id_, drawn), encoding="utf-8")
    write_mask(folder / MASKS / f"{id_}.png", drawn.mask)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """(H, W) uint8 ids as a PNG with VOC's palette."""
    image = Image.fromarray(mask).convert("P")
    image.putpalette(voc_palette().tobytes())
    image.save(path)


def voc_palette() -> np.ndarray:
    """(256, 3) uint8: the colours of the ids 0 to 255 in VOC's masks (its `VOClabelcolormap`).

    The lowest three bits of an id are the highest bit of red, green and blue, the next three their second highest, and so on.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for channel in range(3):
            palette[:, channel] |= ((ids >> (3 * level + channel) & 1) << (7 - level)).astype(np.uint8)
    return palette


def annotation(id_: str, drawn: Scene) -> str:
    """VOC's XML: pixels counted from 1, the first and the last of a box named."""
    height, width = drawn.mask.shape
    lines = [
        "<annotation>",
        "\t<folder>scenes</folder>",
        f"\t<filename>{id_}.jpg</filename>",
        "\t<size>",
        f"\t\t<width>{width}</width>",
        f"\t\t<height>{height}</height>",
        "\t\t<depth>3</depth>",
        "\t</size>",
        "\t<segmented>1</segmented>",
    ]
    objects = zip(drawn.boxes.tolist(), drawn.labels.tolist(), drawn.truncated.tolist(), drawn.difficult.tolist(), strict=True)
    for (left, top, right, bottom), label, truncated, difficult in objects:
        lines += [
            "\t<object>",
            f"\t\t<name>{KINDS[label]}</name>",
            "\t\t<pose>Unspecified</pose>",
            f"\t\t<truncated>{int(truncated)}</truncated>",
            f"\t\t<difficult>{int(difficult)}</difficult>",
            "\t\t<bndbox>",
            f"\t\t\t<xmin>{left + 1}</xmin>",
            f"\t\t\t<ymin>{top + 1}</ymin>",
            f"\t\t\t<xmax>{right}</xmax>",
            f"\t\t\t<ymax>{bottom}</ymax>",
            "\t\t</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _write_lists(folder: Path, lists: Mapping[str, list[str]]) -> None:
    for kind in ("Main", "Segmentation"):
        (folder / "ImageSets" / kind).mkdir(parents=True)
        for split, ids in lists.items():
            (folder / "ImageSets" / kind / f"{split}.txt").write_text("".join(f"{id_}\n" for id_ in ids), encoding="utf-8")
