"""A split of a dataset in memory, and what a split that is streamed has in common with it."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from rotnet_lib.data import augment
from rotnet_lib.data.augment import Draws
from rotnet_lib.errors import RotnetError


@dataclass(frozen=True)
class Request:
    """What a loader asks a split for: some of its images, each cut in its own way.

    Attributes:
        index: (n,) int64, which images, on the split's `index_device`.
        draws: their crops; None: the middle of each image.
    """

    index: torch.Tensor
    draws: Draws | None = None


@dataclass(frozen=True)
class Cut:
    """What a split gives for a request.

    Attributes:
        request: the request.
        images: (k, S, S, 3) uint8 RGB, on the split's device.
        kept: (k,) int64, which of the request's n images these are, on the device of its index; None: all.
    """

    request: Request
    images: torch.Tensor
    kept: torch.Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Images in memory, on one device.

    Channels come last in memory because that is the layout convolutions run fastest on: the loader hands out views.

    Attributes:
        images: (N, R, R, 3) uint8 RGB.
        labels: (N,) int64.
        image_size: S, at most R: side of what a network sees of them, in pixels; None: R.
        damaged: names of the files that should have been among them but could not be read.
    """

    images: torch.Tensor
    labels: torch.Tensor
    image_size: int | None = None
    damaged: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """Where batches come to lie."""
        return self.images.device

    @property
    def index_device(self) -> torch.device:
        """Where the order of the images is made."""
        return self.images.device

    @property
    def size(self) -> int:
        """S, in pixels."""
        return self.image_size or self.images.shape[1]

    def to(self, device: torch.device) -> "Split":
        return Split(self.images.to(device), self.labels.to(device), self.image_size, self.damaged)

    def first_per_class(self, per_class: int, classes: tuple[str, ...]) -> "Split":
        """The first `per_class` images of each class, interleaved by class: images (K*C, R, R, 3), labels (K*C,).

        Raises RotnetError naming the class that has fewer.
        """
        return self.part(first_per_class(self.labels.numpy(), per_class, classes))

    def part(self, kept: np.ndarray) -> "Split":
        """The images at those places (n,), in their order."""
        places = torch.from_numpy(kept).to(self.device)
        return Split(self.images[places], self.labels[places], self.image_size, self.damaged)

    def read(self, indices: Iterable[int]) -> torch.Tensor:
        """The middle of these n images: (n, 3, S, S) uint8 in channels-last memory, on the split's device."""
        index = torch.tensor(list(indices), dtype=torch.int64, device=self.device)
        return augment.centre(self.images[index], self.size).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def cut(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
        """What is asked for, one request after the other."""
        for request in requests:
            if request.draws is None:
                images = augment.centre(self.images[request.index], self.size).contiguous()
            else:
                images = augment.cut(self.images, request.index, request.draws, self.size)
            yield Cut(request, images)


def balanced(labels: np.ndarray, size: int, classes: int) -> np.ndarray:
    """Places of the first `size` images in equal parts of each class, as far as the classes go: (size,) int64."""
    return np.argsort(_rank_in_class(labels, classes), kind="stable")[:size]


def first_per_class(labels: np.ndarray, per_class: int, classes: tuple[str, ...]) -> np.ndarray:
    """Places of the first `per_class` images of each of the C classes, interleaved by class: (K*C,) int64.

    Raises RotnetError naming the class that has fewer.
    """
    counts = np.bincount(labels, minlength=len(classes))
    smallest = int(counts.argmin())
    if counts[smallest] < per_class:
        raise RotnetError(
            f"labels_per_class: {per_class} asked for, but class '{classes[smallest]}' has {counts[smallest]} images. "
            "Take fewer, or a larger train_size."
        )
    rank = _rank_in_class(labels, len(classes))
    kept = np.flatnonzero(rank < per_class)
    return kept[np.argsort(rank[kept], kind="stable")]


def _rank_in_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """For each image how many images of its class stand before it, (N,) int64."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.bincount(labels, minlength=classes).cumsum()[:-1]])
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - starts[labels[order]]
    return rank
