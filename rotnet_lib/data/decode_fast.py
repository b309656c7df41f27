"""Fast decoding of image files into crops, in worker processes.

torchvision is imported where it is needed: that takes a second, and most runs have their images in memory.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rotnet_lib.data.augment import Draws, boxes
from rotnet_lib.data.decode import resized
from rotnet_lib.data.image_files import DamagedImage, check_path, check_size, jpeg_size, read_orientation, read_rgb
from rotnet_lib.data.listing import Listing

_JPEG = b"\xff\xd8\xff"
"""First bytes of every JPEG file."""

_APP1 = b"\xff\xe1"
"""First bytes of the segments of a JPEG file that may hold its orientation."""

Damaged = list[tuple[int, str]]
"""Place of each image of a job that could not be read, and the reason."""

_AT_ONCE = 8 * 2**20
"""Bytes of decoded images that are cut together: computing many boxes at once takes a fraction of the time of one by one. It is
limited in bytes because a camera's photographs are large."""


@dataclass(frozen=True)
class Job:
    """Images for a worker process to read.

    Attributes:
        index: (n,) int64, places of the images in their split.
        draws: their random crops; None: the centre of each.
        slot: number of the slot that the crops are written to; None: a new tensor.
    """

    index: np.ndarray
    draws: Draws | None
    slot: int | None = None


class Decode:
    """Reads, decodes and crops the images of a job, in a worker process.

    Args:
        files: the split's.
        side: R, what the shorter side is resized to, in pixels.
        size: S.
        slots: (slots, B, S, S, 3) uint8, shared memory.
    """

    def __init__(self, files: Listing, side: int, size: int, slots: torch.Tensor | None = None) -> None:
        self.files, self.side, self.size, self.slots = files, side, size, slots

    def __call__(self, job: Job) -> tuple[int | torch.Tensor, np.ndarray, Damaged]:
        """Crops (k, S, S, 3) uint8 of the k images that can be read, or the number of the slot that holds them; the places of
        these images in the job, (k,) int64; and the damaged ones.
        """
        if job.slot is None or self.slots is None:
            images = torch.empty(len(job.index), self.size, self.size, 3, dtype=torch.uint8)
        else:
            images = self.slots[job.slot]
        rows, kept, damaged = images.numpy(), np.empty(0, np.int64), Damaged()
        for places, decoded in self._decoded(job.index, damaged):
            draws = job.draws.part(places) if job.draws else None
            for row, (crop, flip) in enumerate(cut_files(decoded, draws, self.side, self.size), len(kept)):
                np.copyto(rows[row], (crop.flip(2) if flip else crop).permute(1, 2, 0).numpy())
            kept = np.append(kept, np.array(places, np.int64))
        return images[: len(kept)] if job.slot is None else job.slot, kept, damaged

    def _decoded(self, index: np.ndarray, damaged: Damaged) -> Iterator[tuple[list[int], list[torch.Tensor]]]:
        """Groups of images that can be read, (3, H, W) each, and their places in the job; adds the others to `damaged`."""
        places: list[int] = []
        decoded: list[torch.Tensor] = []
        size = 0
        for place, number in enumerate(index.tolist()):
            try:
                image = decode_bytes(read_bytes(self.files.path(number)))
            except DamagedImage as error:
                damaged.append((place, str(error)))
                continue
            places.append(place)
            decoded.append(image)
            size += image.numel()
            if size >= _AT_ONCE:
                yield places, decoded
                places, decoded, size = [], [], 0
        if places:
            yield places, decoded


def read_bytes(path: str) -> np.ndarray:
    """A file's bytes, (n,) uint8. Raises DamagedImage."""
    check_path(path)
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise DamagedImage(str(error)) from None


def decode_bytes(data: np.ndarray) -> torch.Tensor:
    """A file's bytes as an image (3, H, W) uint8 RGB, usually in channels-last memory, upright.

    JPEGs are decoded by torchvision, which takes a third of Pillow's time; other formats, and JPEGs that torchvision refuses,
    by Pillow. The orientation is Pillow's in both cases: torchvision reads fewer of them, and damaged ones otherwise.

    Raises:
        DamagedImage: as `read_rgb` does.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    content = data.tobytes()
    if content.startswith(_JPEG) and (size := jpeg_size(content)):
        check_size(*size)  # torchvision has no limit of its own
        try:
            image = decode_jpeg(torch.from_numpy(data), ImageReadMode.RGB)
        except RuntimeError:
            pass  # some are whole all the same: Pillow decides
        else:
            return _turned(image, read_orientation(io.BytesIO(content)) if _APP1 in content else 1)
    return torch.from_numpy(np.array(read_rgb(io.BytesIO(content), upright=True))).permute(2, 0, 1)


def _turned(image: torch.Tensor, orientation: int) -> torch.Tensor:
    """(3, H, W) made upright: what `image_files.TURNS` does to a Pillow image."""
    if orientation > 4:
        image = image.transpose(1, 2)
    flipped = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation)
    return image.flip(flipped) if flipped else image


def cut_files(images: Sequence[torch.Tensor], draws: Draws | None, side: int, size: int) -> Iterator[tuple[torch.Tensor, bool]]:
    """The crops of images of any size, and for each whether it has to be flipped.

    Args:
        images: (3, H, W) uint8 each.
        draws: their random crops; None: the centre of each.
        side: R, what the shorter side is resized to first (not for a resized-crop).
        size: S.

    Yields:
        (3, S, S) uint8: a view where nothing had to be resized.
    """
    sizes = np.array([image.shape[1:] for image in images], np.int64).reshape(-1, 2)
    images = list(images)
    if draws is None or draws.tries is None:
        for place in np.flatnonzero(sizes.min(1) != side).tolist():
            height, width = sizes[place].tolist()
            sizes[place] = height, width = resized(height, width, side)
            images[place] = resize(images[place], height, width)
    heights, widths = sizes.T
    if draws is None:  # the centre of the central R x R, which is all that an image in memory keeps
        corners = ((lengths - side) // 2 + (side - size) // 2 for lengths in (heights, widths))
        square = np.full(len(images), size)
        found, flips = np.stack([*corners, square, square], 1), [False] * len(images)
    else:
        found, flips = boxes(draws, heights, widths, size), draws.flip.tolist()
    for image, (top, left, height, width), flip in zip(images, found.tolist(), flips, strict=True):
        crop = image[:, top : top + height, left : left + width]
        yield crop if height == width == size else resize(crop, size, size), flip


def resize(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(3, H, W) uint8 resized linearly, with antialiasing where it shrinks, as Pillow does."""
    batch = image[None].contiguous(memory_format=torch.channels_last)
    # The CPU kernel for bytes is twice as fast as the one for floats.
    return torch.nn.functional.interpolate(batch, size=(height, width), mode="bilinear", antialias=True)[0]
