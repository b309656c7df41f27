"""Batches from a split, in memory or streamed, augmented."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from rotnet_lib.data.augment import Augment, crop_and_flip, draw, draw_shifts
from rotnet_lib.data.colours import jitter_colours
from rotnet_lib.data.split import Request, Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.data.to_device import to_device
from rotnet_lib.errors import RotnetError
from rotnet_lib.seeds import derive, generator

TEST_BATCH = 128
"""Images a batch of the test split: as many as the protocol trains on, so evaluation needs no more memory."""

_FINE = 1_000_000
"""Steps of a probability."""


@dataclass(frozen=True)
class Batch:
    """A step's images.

    Attributes:
        images: (B, 3, S, S) uint8 RGB, in channels-last memory.
        labels: (B,) int64 class labels.
        copies: (B,) int64 in [0, copies of the loader): number of this entry among those of its image in the epoch.
        index: (B,) int64, the images' places in their split.
        rng: the source of anything random a task does with the batch, on the images' device.
        places: (B,) int64, positions of these entries in the global batch; None: all of them are here.
        whole: entries of the global batch, over all processes and with damaged images; None: B.
    """

    images: torch.Tensor
    labels: torch.Tensor
    copies: torch.Tensor
    index: torch.Tensor
    rng: torch.Generator
    places: torch.Tensor | None = None
    whole: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def randint(self, high: int, *columns: int) -> torch.Tensor:
        """(B, *columns) int64 in [0, high), which do not depend on how the batch is shared among processes."""
        device = self.images.device
        drawn = torch.randint(high, (self.whole or len(self), *columns), generator=self.rng, device=device)
        return drawn if self.places is None else drawn[self.places]

    def chosen(self, share: float, *columns: int) -> torch.Tensor:
        """(B, *columns) bool, each true with probability `share`; as `randint`, whatever processes share the batch."""
        return self.randint(_FINE, *columns) < share * _FINE


class Loader:
    """Training batches: every epoch a new order, crop and flip, all of them a function of (seed, epoch).

    Args:
        split: the images and labels, on the device.
        batch_size: entries a batch; an epoch with fewer is one batch.
        seed: the run's.
        augment: how images are cropped and flipped, drawn once for each entry; see `Augment`.
        colour_jitter: strength of a random change of colours on top (see `jitter_colours`).
        copies: entries of each image in an epoch, shuffled among all others. Each has an augmentation of its own.
        epoch_images: images an epoch draws; None: each image once. With more, the split is gone through again in a
            new order (the semi-supervised protocol: 50 000 samples whatever the number of labels).
        share: (rank, world size) of this process, which takes the rank-th of equal parts of each batch. What is drawn at
            random does not depend on the world size.

    Raises:
        RotnetError: the batch size is no multiple of the world size.
    """

    def __init__(
        self,
        split: Split | StreamedSplit,
        batch_size: int,
        *,
        seed: int,
        augment: Augment,
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
        if self.batch_size % share[1]:
            raise RotnetError(
                f"batch_size: {self.batch_size} images are not {share[1]} equal parts, one per process. "
                f"Take a multiple of {share[1]}, or other gpus."
            )

    def __len__(self) -> int:
        """Batches in an epoch. The incomplete last batch is dropped: other images each time, since the order is new."""
        return self.entries // self.batch_size

    def epoch(self, number: int, order: torch.Tensor | None = None) -> Generator[Batch, None, None]:
        """The batches of epoch `number` (from 0). Close the iterator if you stop early: it may have worker processes.

        Args:
            number: from 0.
            order: (entries,) int64 in [0, images * copies), the entries in the order drawn, in which e is copy e % copies of
                image e // copies; None: all of them in random order.

        Raises ValueError if `order` has another length.
        """
        device, index_device = self.split.device, self.split.index_device
        rng = generator(device, self.seed, "epoch", number)
        if order is None:
            order = self._order(rng if index_device == device else generator(index_device, self.seed, "epoch", number))
        elif len(order) != self.entries:
            raise ValueError(f"an epoch has {self.entries} entries, and an order of {len(order)} was given")
        order = order.to(index_device)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        first, last = ((self.share[0] + end) * self.batch_size // self.share[1] for end in (0, 1))
        box_rng = np.random.default_rng(derive(self.seed, "boxes", number))

        def requests() -> Iterator[Request]:
            for start in starts:
                draws = draw(self.augment, self.batch_size, box_rng)
                index = order[start + first : start + last] // self.copies
                yield Request(index, draws.part(slice(first, last)) if draws else None)

        with closing(self.split.cut(requests())) as cuts:
            for start, found in zip(starts, cuts, strict=True):
                places = torch.arange(first, last, device=index_device)
                places = places if found.kept is None else places[found.kept]
                entries, places = to_device(torch.stack([order[start + places], places]), device)
                index, copies = entries // self.copies, entries % self.copies
                images = found.images.permute(0, 3, 1, 2)
                if self.colour_jitter:  # before a pad-crop, whose padding stays black
                    seed = derive(self.seed, "jitter", number, start)
                    here = torch.arange(first, last)  # on the CPU, where changes are drawn, and `kept` of streamed images is
                    here = here if found.kept is None else here[found.kept]
                    images = jitter_colours(images, self.colour_jitter, seed, here, self.batch_size)
                if self.augment == "pad-crop":
                    padding = images.shape[-1] // 8
                    shift, flip = draw_shifts(self.batch_size, padding, rng)
                    images = crop_and_flip(images, padding, shift[:, places], flip[places])
                yield Batch(images, self.split.labels[index], copies, index, rng, places, self.batch_size)

    def _order(self, rng: torch.Generator) -> torch.Tensor:
        per_pass = len(self.split) * self.copies
        passes = -(-self.entries // per_pass)
        orders = [torch.randperm(per_pass, generator=rng, device=rng.device) for _ in range(passes)]
        return torch.cat(orders)[: self.entries]


def ordered_batches(
    split: Split | StreamedSplit,
    batch_size: int = TEST_BATCH,
    share: tuple[int, int] = (0, 1),
    only: torch.Tensor | None = None,
) -> Generator[Batch, None, None]:
    """All images of a split in their order, not augmented; the last batch may be smaller.

    Close the iterator if you stop early: it may have worker processes.

    Args:
        split: the images and labels, on the device.
        batch_size: images a batch.
        share: (rank, world size): only the batches whose number, counted from 0, is the rank modulo the world size.
        only: (n,) int64, places of the images that are wanted, in the order wanted; None: all.
    """
    device = split.device
    wanted = torch.arange(len(split), device=split.index_device) if only is None else only.to(split.index_device)
    places = wanted.split(batch_size)[share[0] :: share[1]]
    with closing(split.cut(Request(index) for index in places)) as cuts:
        for number, found in enumerate(cuts):
            rng = generator(device, 0, "test", share[0] + number * share[1])  # whoever evaluates the batch
            index = found.request.index if found.kept is None else found.request.index[found.kept]
            index = to_device(index, device)
            labels = split.labels[index]
            yield Batch(found.images.permute(0, 3, 1, 2), labels, torch.zeros_like(labels), index, rng)
