"""Batches from a split that lives on the device, augmented there."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rotnet_lib.data.dataset import Split
from rotnet_lib.seeds import derive, generator

TEST_BATCH = 128
"""Images a batch of the test split: as many as the protocol trains on, so evaluation needs no more memory."""


@dataclass(frozen=True)
class Batch:
    """A step's images.

    Attributes:
        images: (B, 3, S, S) uint8 RGB, in channels-last memory.
        labels: (B,) int64 class labels.
        copies: (B,) int64 in [0, copies of the loader): which of an image's entries in the epoch this is.
        index: (B,) int64, the images' places in their split.
        rng: the source of anything random a task does with the batch, on the images' device.
    """

    images: torch.Tensor
    labels: torch.Tensor
    copies: torch.Tensor
    index: torch.Tensor
    rng: torch.Generator

    def __len__(self) -> int:
        return len(self.images)


class Loader:
    """Training batches: every epoch a new order, crop and flip, all of them a function of (seed, epoch).

    Args:
        split: the images and labels, on the device.
        batch_size: entries a batch; an epoch with fewer is one batch.
        seed: the run's.
        augment: draw a random crop (after padding by an eighth of the side with black: 4 pixels at 32, docs/protocol.md) and
            a random horizontal flip, once for each entry.
        colour_jitter: strength of a random change of colours on top (see `jitter_colours`).
        copies: entries each image has in an epoch, shuffled among the others'. Their augmentation is drawn apart.
        epoch_images: images an epoch draws; None: each image once. With more, the split is gone through again in a
            new order (the semi-supervised protocol: 50 000 samples whatever the number of labels).
        share: (r, n): of every batch, take the r-th (from 0) of n equal parts. What is drawn is the same for every n, so
            that n processes see together what one would; `Batch.rng` is a stream of its own for each, if there are several.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        augment: bool,
        colour_jitter: float = 0.0,
        copies: int = 1,
        epoch_images: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.split = split
        self.seed = seed
        self.augment = augment
        self.colour_jitter = colour_jitter
        self.copies = copies
        self.share = share
        self.entries = (epoch_images or len(split)) * copies
        self.batch_size = min(batch_size, self.entries)

    def __len__(self) -> int:
        """Batches an epoch. What is left over at its end is dropped: other images each time, since the order is new."""
        return self.entries // self.batch_size

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number` (from 0)."""
        device = self.split.images.device
        rng = generator(device, self.seed, "epoch", number)
        part, parts = self.share
        task_rng = rng if parts == 1 else generator(device, self.seed, "epoch", number, part)
        order = self._order(rng)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            entries = order[start : start + self.batch_size]
            index, copies = entries // self.copies, entries % self.copies
            images = self.split.images[index].permute(0, 3, 1, 2)
            if self.colour_jitter:  # before the crop, whose padding stays black
                images = jitter_colours(images, self.colour_jitter, derive(self.seed, "jitter", number, start))
            if self.augment:
                images = crop_and_flip(images, padding=images.shape[-1] // 8, rng=rng)
            size = len(entries) // parts
            own = slice(part * size, (part + 1) * size)
            yield Batch(images[own], self.split.labels[index[own]], copies[own], index[own], task_rng)

    def _order(self, rng: torch.Generator) -> torch.Tensor:
        per_pass = len(self.split) * self.copies
        passes = -(-self.entries // per_pass)
        device = self.split.images.device
        return torch.cat([torch.randperm(per_pass, generator=rng, device=device) for _ in range(passes)])[: self.entries]


def ordered_batches(split: Split, batch_size: int = TEST_BATCH, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """All images of a split in their order, not augmented; the last batch may be smaller.

    With `share` (r, n), of these batches those whose number is r modulo n.
    """
    device = split.images.device
    rng = generator(device, 0, "test")
    places = torch.arange(len(split), device=device)
    batches = zip(split.images.split(batch_size), split.labels.split(batch_size), places.split(batch_size), strict=True)
    for images, labels, index in itertools.islice(batches, share[0], None, share[1]):
        yield Batch(images.permute(0, 3, 1, 2), labels, torch.zeros_like(labels), index, rng)


def crop_and_flip(images: torch.Tensor, padding: int, rng: torch.Generator) -> torch.Tensor:
    """Random crop after padding with zeros, and random horizontal flip, drawn for each image.

    Args:
        images: (B, C, H, W), any dtype, on the device of `rng`.
        padding: pixels on each side.
        rng: source of the draws.

    Returns:
        (B, C, H, W) of the same dtype, in channels-last memory.
    """
    count, _, height, width = images.shape
    device = images.device
    # One gather does crop and flip: pixel (y, x) of the result comes from (row[y], column[x]) of the padded image.
    padded = torch.nn.functional.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    shift = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=rng, device=device)
    flip = torch.randint(0, 2, (count, 1), generator=rng, device=device, dtype=torch.bool)
    rows = torch.arange(height, device=device) + shift[0]
    columns = torch.arange(width, device=device).expand(count, width)
    columns = torch.where(flip, width - 1 - columns, columns) + shift[1]
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def jitter_colours(images: torch.Tensor, strength: float, seed: int) -> torch.Tensor:
    """Random brightness, contrast, saturation and hue, drawn for each image, in an order drawn for the batch.

    Args:
        images: (B, 3, H, W) uint8.
        strength: in (0, 1]. Brightness, contrast and saturation change by a factor in [1 - strength, 1 + strength], hue
            by up to a quarter of it, in turns of the colour circle.
        seed: of the draws.

    Returns:
        (B, 3, H, W) uint8, in channels-last memory.
    """
    from kornia.augmentation import ColorJitter  # its import takes a second, and few runs jitter

    jitter = ColorJitter(strength, strength, strength, strength / 4, p=1.0, same_on_batch=False)
    with torch.random.fork_rng(devices=[]):  # kornia draws from torch's global generator on the CPU
        torch.manual_seed(seed)
        changed = jitter(images.float() / 255)
    return (changed * 255).round().to(torch.uint8).contiguous(memory_format=torch.channels_last)
