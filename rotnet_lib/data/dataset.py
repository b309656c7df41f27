"""A dataset by name: opened, decoded into memory once or made ready to be streamed, cut to size."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import psutil
import torch

from rotnet_lib.data import colours
from rotnet_lib.data.cache import decoded
from rotnet_lib.data.damage import MAX_DAMAGED, Damage, name_of
from rotnet_lib.data.listing import SPLITS, Listing, SplitName
from rotnet_lib.data.shrink import shrunk
from rotnet_lib.data.source import Source, Statistics
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.split import Request, Split, balanced
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.data.titles import GREY, VALIDATION
from rotnet_lib.data.validation import held_out
from rotnet_lib.errors import RotnetError

_SAMPLE = 1024
"""Images of a streamed split whose pixels stand for all of them, in the statistics."""


@dataclass(frozen=True)
class Dataset:
    """Both splits of a dataset, with what a report says about it. See `Source` for the attributes.

    `test` is the test split, or the training images that were held out (`validation`). `skipped` is what lies among the images
    and is not read (see `Listing`), of both splits.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    image_size: int
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split | StreamedSplit
    test: Split | StreamedSplit
    skipped: tuple[str, ...] = ()
    validation: bool = False


def load_dataset(spec: DataSpec, *, max_damaged: float = MAX_DAMAGED, workers: int | None = None) -> Dataset:
    """A dataset in memory, from the cache where it has been decoded before, or streamed from its files.

    What lies among its images and is not read is printed.

    Args:
        spec: which images, and what of them.
        max_damaged: share of a split's files, above which it is an error that they cannot be read.
        workers: processes that read a streamed split; None: one a core.

    Raises:
        RotnetError: no such data, too many damaged images (named), more images asked for than there are, more than fit in
            memory, no files to stream or to shrink.
    """
    name, shrink = spec.dataset, spec.shrink
    source = spec.open()
    streamed = source.streamed if spec.stream is None else spec.stream
    if not source.files and (streamed or shrink):
        field = "stream" if streamed else "shrink"
        raise RotnetError(f"{field}: {name} is not made of image files here. Leave it out.")
    opened = SPLITS[:1] if spec.validate else SPLITS  # of the test split no image is loaded
    sizes = {split: spec.train_size if split == "train" else spec.test_size for split in opened}
    if not streamed:
        _check_memory(name, source, sizes)
    skipped = tuple(what for files in source.files.values() for what in files.skipped)
    if skipped and "LOCAL_WORLD_SIZE" not in os.environ:  # torchrun's processes: the one that started them has said it
        print(f"{name}: not read are {'; '.join(skipped)}.", flush=True)
    damages = {split: Damage(f"the {split} split of {name}", len(files), max_damaged) for split, files in source.files.items()}
    files = shrunk(source.files, opened, shrink, damages, workers) if shrink else source.files
    splits: dict[SplitName, _Placed] = {}
    for split, size in sizes.items():
        if streamed:
            splits[split] = _streamed(name, source, split, size, files[split], damages[split], spec.grey, workers)
        else:
            splits[split] = _in_memory(name, source, split, size, files, damages, spec.grey, shrink)
    train, test = _held_out(splits["train"], spec, source) if spec.validate else (splits["train"].images, splits["test"].images)
    published = None if spec.grey else source.statistics
    mean, std = published or _statistics(train)
    return Dataset(
        name,
        source.title + (VALIDATION if spec.validate else "") + (GREY if spec.grey else ""),
        source.classes,
        source.image_size,
        source.fingerprint,
        mean,
        std,
        train,
        test,
        skipped,
        validation=spec.validate is not None,
    )


class _Placed(NamedTuple):
    """Images, and their places in the whole split: (n,) int64."""

    images: Split | StreamedSplit
    places: np.ndarray


def _held_out(found: _Placed, spec: DataSpec, source: Source) -> tuple[Split | StreamedSplit, Split | StreamedSplit]:
    """The images to train on, and those that are held out."""
    assert spec.validate is not None
    train, test = found.images.divided(held_out(found.places, spec.validate))
    if spec.test_size is not None and spec.test_size < len(test):
        test = test.part(balanced(test.labels.numpy(), spec.test_size, len(source.classes)))
    return train, test


def _in_memory(
    name: str,
    source: Source,
    split: SplitName,
    size: int | None,
    files: Mapping[SplitName, Listing],
    damages: Mapping[SplitName, Damage],
    grey: bool,
    shrink: int | None,
) -> _Placed:
    images, labels, damaged = decoded(name, source, split, size, files.get(split), damages.get(split), shrink)
    places = _read_places(files[split], damaged) if split in files else np.arange(len(labels))
    if size is not None:
        kept = _kept(labels, size, source, name, split)
        images, labels, places = images[kept], labels[kept], places[kept]
    if grey:
        images = colours.grey(images)
    return _Placed(Split(torch.from_numpy(images), torch.from_numpy(labels), source.image_size, damaged), places)


def _streamed(
    name: str,
    source: Source,
    split: SplitName,
    size: int | None,
    files: Listing,
    damage: Damage,
    grey: bool,
    workers: int | None,
) -> _Placed:
    found = StreamedSplit(files, source.side, source.image_size, grey=grey, damage=damage, workers=workers)
    if size is not None:
        found = found.part(_kept(files.labels, size, source, name, split))
    return _Placed(found, found.files.original_places)


def _read_places(files: Listing, damaged: Sequence[str]) -> np.ndarray:
    """Places in the whole split of the files that could be read: (n,) int64."""
    if not damaged:
        return files.original_places
    left_out = set(damaged)
    return files.original_places[[name_of(files, index) not in left_out for index in range(len(files))]]


def _kept(labels: np.ndarray, size: int, source: Source, name: str, split: SplitName) -> np.ndarray:
    if size > len(labels):
        raise RotnetError(f"{split}_size: {size} images asked for, but the {split} split of {name} has {len(labels)}.")
    return balanced(labels, size, len(source.classes))


def _check_memory(name: str, source: Source, sizes: Mapping[SplitName, int | None]) -> None:
    """Raises RotnetError if the images would take more than half of the memory that is left."""
    # Of files all are decoded, whatever part is asked for.
    count = sum(len(source.files[split]) for split in sizes) if source.files else sum(size or 0 for size in sizes.values())
    needed, available = count * source.side**2 * 3, psutil.virtual_memory().available
    if needed > available / 2:
        remedy = "Stream it: -p stream true; or take a smaller image_size." if source.files else "Take fewer or smaller images."
        raise RotnetError(
            f"{name} needs {needed / 2**30:.1f} GiB in memory ({count} images of {source.side} x {source.side} pixels), and "
            f"{available / 2**30:.1f} GiB are available here, of which it may take half. {remedy}"
        )


def _statistics(split: Split | StreamedSplit) -> Statistics:
    """Channel means and standard deviations of 255; of a streamed split those of 1 024 images spread evenly over it."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    if isinstance(split, Split):
        chunks = (part.numpy() for part in split.images.split(1024))  # so that no float copy of the whole set is made
    else:
        places = torch.linspace(0, len(split) - 1, min(len(split), _SAMPLE)).round().long()
        chunks = (found.images.numpy() for found in split.cut(Request(part) for part in places.split(64)))
    for chunk in chunks:
        pixels = chunk.reshape(-1, 3).astype(np.float64)
        total += pixels.sum(0)
        squares += (pixels**2).sum(0)
        count += len(pixels)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return tuple(mean.round(2).tolist()), tuple(std.round(2).tolist())
