"""A dataset in memory: opened by name, decoded once, cut to size."""

import hashlib
from dataclasses import dataclass

import numpy as np
import safetensors
import safetensors.numpy
import torch

from rotnet_lib.data.source import DATASETS, SPLITS, Source, SplitName, Statistics, cache_root
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.files import replacing

GREY = ", grey"
"""Behind the title of a dataset whose colour was taken out."""


@dataclass(frozen=True)
class Split:
    """Images (N, S, S, 3) uint8 RGB and labels (N,) int64.

    Channels come last in memory because that is the layout convolutions run fastest on: the loader hands out views.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "Split":
        return Split(self.images.to(device), self.labels.to(device))

    def first_per_class(self, per_class: int, classes: tuple[str, ...]) -> "Split":
        """The first `per_class` images of each class, interleaved by class: images (K*C, S, S, 3), labels (K*C,).

        Raises RotnetError naming the class that has fewer.
        """
        return Split(*(torch.from_numpy(a) for a in _first_per_class(*self._arrays(), per_class, classes)))

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.images.numpy(), self.labels.numpy()


@dataclass(frozen=True)
class Dataset:
    """Both splits of a dataset, with what a report says about it. See `Source` for the attributes."""

    name: str
    title: str
    classes: tuple[str, ...]
    image_size: int
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split
    test: Split


def open_source(name: str, image_size: int | None = None) -> Source:
    """The dataset of that name, not yet decoded.

    Raises:
        RotnetError: there is no such dataset, or its data is not here; the message says what brings it.
    """
    kind, colon, argument = name.partition(":")
    if kind not in DATASETS:
        raise unknown("dataset", name, (f"{n}:/path" if n == "imagefolder" else n for n in DATASETS))
    if bool(argument) != (kind == "imagefolder") or (colon and not argument):
        remedy = "give its folder: imagefolder:/path" if not argument and kind == "imagefolder" else f"write just {kind}"
        raise RotnetError(f"dataset '{name}' is not complete or too long: {remedy}.")
    return DATASETS[kind](argument, image_size)


def load_dataset(
    name: str,
    *,
    image_size: int | None = None,
    train_size: int | None = None,
    test_size: int | None = None,
    grey: bool = False,
) -> Dataset:
    """Decode a dataset, from the cache where it has been decoded before.

    Args:
        name: `cifar10`, `fashion-mnist`, `shapes` or `imagefolder:/path`.
        image_size: side in pixels; None: the dataset's own.
        train_size, test_size: this many images, the first of each class in equal parts; None: all.
        grey: put each pixel's luminance (ITU-R 601) in all three channels.

    Raises:
        RotnetError: no such data, a damaged image (named), more images asked for than there are.
    """
    source = open_source(name, image_size)
    splits = {}
    for split, size in zip(SPLITS, (train_size, test_size), strict=True):
        images, labels = _decode(name, source, split, size)
        if size is not None:
            images, labels = _cut(images, labels, size, source.classes, name, split)
        if grey:
            images = _grey(images)
        splits[split] = Split(torch.from_numpy(images), torch.from_numpy(labels))
    published = None if grey else source.statistics
    mean, std = published or _statistics(splits["train"].images.numpy())
    return Dataset(
        name,
        source.title + GREY if grey else source.title,
        source.classes,
        source.image_size,
        source.fingerprint,
        mean,
        std,
        splits["train"],
        splits["test"],
    )


def _decode(name: str, source: Source, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    if not source.cached:
        return source.decode(split, count)
    extent = count if source.generated else None  # as many as one asks for, so the number is part of what is kept
    key = hashlib.sha256(repr((name, source.fingerprint, split, extent)).encode()).hexdigest()[:16]
    path = cache_root() / f"{name.partition(':')[0]}-{source.image_size}-{split}-{key}.safetensors"
    if not path.exists():
        images, labels = source.decode(split, count)
        try:
            with replacing(path) as temporary:
                # Contiguous, since safetensors writes any other array's bytes in the order they happen to lie in memory.
                arrays = {"images": np.ascontiguousarray(images), "labels": np.ascontiguousarray(labels)}
                safetensors.numpy.save_file(arrays, temporary)
        except OSError as error:
            raise RotnetError(f"cannot keep the decoded images in {path.parent}: {error}. Set ROTNET_CACHE.") from None
        return images, labels
    try:
        arrays = safetensors.numpy.load_file(path)
        return arrays["images"], arrays["labels"]
    except (safetensors.SafetensorError, KeyError, OSError) as error:
        raise RotnetError(f"the decoded images in {path} are damaged ({error}). Delete that file and run again.") from None


def _cut(
    images: np.ndarray, labels: np.ndarray, size: int, classes: tuple[str, ...], name: str, split: str
) -> tuple[np.ndarray, np.ndarray]:
    if size > len(images):
        raise RotnetError(f"{split}_size: {size} images asked for, but the {split} split of {name} has {len(images)}.")
    order = np.argsort(_rank_in_class(labels, len(classes)), kind="stable")
    kept = order[:size]
    return images[kept], labels[kept]


def _first_per_class(
    images: np.ndarray, labels: np.ndarray, per_class: int, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    if counts[smallest] < per_class:
        raise RotnetError(
            f"labels_per_class: {per_class} asked for, but class '{classes[smallest]}' has {counts[smallest]} images. "
            "Take fewer, or a larger train_size."
        )
    rank = _rank_in_class(labels, len(classes))
    kept = np.flatnonzero(rank < per_class)
    kept = kept[np.argsort(rank[kept], kind="stable")]
    return images[kept], labels[kept]


def _rank_in_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """For each image how many images of its class stand before it, (N,) int64."""
    rank = np.empty_like(labels)
    for label in range(classes):
        of_class = np.flatnonzero(labels == label)
        rank[of_class] = np.arange(len(of_class))
    return rank


def _grey(images: np.ndarray) -> np.ndarray:
    """(N, S, S, 3) uint8 with the luminance in every channel, in chunks so that no float copy of the whole set is made."""
    result = np.empty_like(images)
    for start in range(0, len(images), 1024):
        luminance = images[start : start + 1024] @ np.array([0.299, 0.587, 0.114])
        result[start : start + 1024] = luminance.round().astype(np.uint8)[..., None]
    return result


def _statistics(images: np.ndarray) -> Statistics:
    """Channel means and standard deviations of 255, in chunks so that no float copy of the whole set is made."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(images), 1024):
        pixels = images[start : start + 1024].reshape(-1, 3).astype(np.float64)
        total += pixels.sum(0)
        squares += (pixels**2).sum(0)
        count += len(pixels)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return tuple(mean.round(2).tolist()), tuple(std.round(2).tolist())
