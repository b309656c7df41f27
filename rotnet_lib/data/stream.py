"""A split whose image files are read batch by batch, by worker processes."""

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import numpy as np
import torch

from rotnet_lib.data.colours import grey_batch
from rotnet_lib.data.damage import Damage
from rotnet_lib.data.decode_fast import Decode, Job
from rotnet_lib.data.listing import Listing
from rotnet_lib.data.opening import shown
from rotnet_lib.data.pool import Slots, in_workers, worker_count
from rotnet_lib.data.split import Cut, Request, first_per_class
from rotnet_lib.data.to_device import to_device
from rotnet_lib.errors import RotnetError


class StreamedSplit:
    """Image files that are read when a batch needs them. It has the interface of `Split`, except for `images`.

    Order and crops are drawn in this process, so batches do not depend on the number of workers. Each image is decoded once
    for a batch, on the CPU, however many views of it a task makes. Memory holds a few batches and the files' names.

    Args:
        files: the images' files.
        side: R, what an image's shorter side is resized to, in pixels.
        image_size: S, at most R.
        grey: put each pixel's luminance (ITU-R 601) in all three channels.
        damage: counts the files that cannot be read; None: at most 0.1 % of them may be damaged.
        workers: number of worker processes; 0: this process reads; None: one for each core.
        device: of the batches.

    Attributes:
        labels: (N,) int64, on the device.
    """

    def __init__(
        self,
        files: Listing,
        side: int,
        image_size: int,
        *,
        grey: bool = False,
        damage: Damage | None = None,
        workers: int | None = None,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> None:
        self.files = files
        self.labels = torch.from_numpy(files.labels).to(device)
        self.side = side
        self.size = image_size
        self.grey = grey
        self.workers = worker_count(workers)
        self.device = device
        self.index_device = torch.device("cpu")
        self._damage = damage or Damage(files.root, len(files))

    def __len__(self) -> int:
        return len(self.files)

    @property
    def damaged(self) -> list[str]:
        """Names of the files that could not be read so far."""
        return self._damage.names

    def to(self, device: torch.device) -> "StreamedSplit":
        """The same split with its batches on that device."""
        return self._like(self.files, self._damage, device)

    def first_per_class(self, per_class: int, classes: tuple[str, ...]) -> "StreamedSplit":
        """The first `per_class` images of each class, interleaved by class. See `Split.first_per_class`."""
        return self.part(first_per_class(self.files.labels, per_class, classes))

    def part(self, kept: np.ndarray) -> "StreamedSplit":
        """The images at those places (n,), in their order."""
        return self._like(self.files.part(kept), self._damage.part(len(kept)), self.device)

    def divided(self, second: np.ndarray) -> tuple["StreamedSplit", "StreamedSplit"]:
        """The images where (N,) bool is false, and those where it is true. Their damage is counted together."""
        first, others = (self.files.part(np.flatnonzero(there)) for there in (~second, second))
        return self._like(first, self._damage, self.device), self._like(others, self._damage, self.device)

    def read(self, indices: Iterable[int]) -> torch.Tensor:
        """The centres of these n images: (n, 3, S, S) uint8 in channels-last memory, on the split's device.

        Raises RotnetError if one of them is damaged.
        """
        index = np.array(list(indices), np.int64)
        images, _, damaged = Decode(self.files, self.side, self.size)(Job(index, None))
        assert isinstance(images, torch.Tensor)
        for place, reason in damaged:
            path = shown(self.files.path(int(index[place])))
            raise RotnetError(f"damaged image {path}: {reason}. Replace or remove that file, or ask for another.")
        images = images.to(self.device)
        return (grey_batch(images) if self.grey else images).permute(0, 3, 1, 2)

    def cut(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
        """The crops of each request, in order, without the images that are damaged.

        Worker processes run from the first request to the last, or until the iterator is closed.

        Raises:
            RotnetError: more files are damaged than may be, or all of a request.
        """
        import torchvision.io  # noqa: F401  # once here, rather than in each worker process

        asked: deque[Request] = deque()

        requests = iter(requests)
        first = next(requests, None)
        if first is None:
            return
        slots = Slots(self.workers, len(first.index), self.size, self.size, 3) if self.workers else None
        work = Decode(self.files, self.side, self.size, slots.memory if slots else None)

        def jobs() -> Iterator[Job]:
            for request in itertools.chain([first], requests):
                asked.append(request)
                yield Job(request.index.numpy(), request.draws, slots.take() if slots else None)

        with closing(in_workers(work, jobs(), self.workers, pin=self.device.type == "cuda")) as results:
            for result in results:
                request = asked.popleft()
                images, kept, damaged = result
                if isinstance(images, int):
                    assert slots is not None
                    images = slots.give(images, len(kept))
                for place, reason in damaged:
                    self._damage.add(self.files, int(request.index[place]), reason)
                if not len(kept):
                    raise RotnetError(f"all {len(request.index)} files of a batch of {self._damage.what} are damaged.")
                images = to_device(images, self.device)
                complete = len(kept) == len(request.index)
                yield Cut(request, grey_batch(images) if self.grey else images, None if complete else torch.from_numpy(kept))

    def _like(self, files: Listing, damage: Damage, device: torch.device) -> "StreamedSplit":
        return StreamedSplit(
            files,
            self.side,
            self.size,
            grey=self.grey,
            damage=damage,
            workers=self.workers,
            device=device,
        )
