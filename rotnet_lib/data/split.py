"""A split of a dataset in memory; requests and their results, which a streamed split shares."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from rotnet_lib.data import augment
from rotnet_lib.data.augment import Draws
from rotnet_lib.errors import RotnetError


@dataclass(frozen=True)
class Request:
    """The images of a batch that a loader asks a split for, and their crops.

    Attributes:
        index: (n,) int64, places of the images in the split, on its `index_device`.
        draws: their random crops; None: the centre of each image.
    """

    index: torch.Tensor
    draws: Draws | None = None


@dataclass(frozen=True)
class Cut:
    """The images of a request, cropped.

    Attributes:
        request: the request.
        images: (k, S, S, 3) uint8 RGB, on the split's device.
        kept: (k,) int64, places of these images among the request's n, on the device of its index; None: all, in order.
    """

    request: Request
    images: torch.Tensor
    kept: torch.Tensor | None = None


@dataclass(frozen=True)
class Split:
    """Images in memory, on one device.

    Channels come last in memory, the layout that convolutions run fastest on: the loader's batches are views.

    Attributes:
        images: (N, R, R, 3) uint8 RGB.
        labels: (N,) int64.
        image_size: S, at most R: side of a network's input, in pixels; None: R.
        damaged: names of files that could not be read and are left out.
    """

    images: torch.Tensor
    labels: torch.Tensor
    image_size: int | None = None
    damaged: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self.images.device

    @property
    def index_device(self) -> torch.device:
        """Device of index tensors, on which the order of the images is drawn."""
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

    def divided(self, second: np.ndarray) -> tuple["Split", "Split"]:
        """The images where (N,) bool is false, and those where it is true."""
        return self.part(np.flatnonzero(~second)), self.part(np.flatnonzero(second))

    def read(self, indices: Iterable[int]) -> torch.Tensor:
        """The centres of these n images: (n, 3, S, S) uint8 in channels-last memory, on the split's device."""
        index = torch.tensor(list(indices), dtype=torch.int64, device=self.device)
        return augment.centre(self.images[index], self.size).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def cut(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
        """The crops of each request, in order."""
        for request in requests:
            if request.draws is None:
                images = augment.centre(self.images[request.index], self.size).contiguous()
            else:
                images = augment.cut(self.images, request.index, request.draws, self.size)
            yield Cut(request, images)


def balanced(labels: np.ndarray, size: int, classes: int) -> np.ndarray:
    """Places of the first `size` images, equally many of each class while it has that many: (size,) int64."""
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
    """For each image the number of images of its class before it, (N,) int64."""
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.bincount(labels, minlength=classes).cumsum()[:-1]])
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - starts[labels[order]]
    return rank
