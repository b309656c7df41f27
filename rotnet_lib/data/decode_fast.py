"""Image files as pixels, fast: what worker processes do, and what is left to a GPU.

torchvision is imported where it is needed: that takes a second, and most runs have their images in memory.
"""

import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from rotnet_lib.data.augment import Draws, boxes
from rotnet_lib.data.decode import DamagedImage, open_upright, resized
from rotnet_lib.data.listing import Listing
from rotnet_lib.data.transfer import sent

_JPEG = b"\xff\xd8\xff"
"""How every JPEG file begins."""
_END = b"\xff\xd9"
_ORIENTATION = 0x0112
"""EXIF's tag; 1 is upright."""

Damaged = list[tuple[int, str]]
"""Which of a job's images could not be read, and why."""

_AT_ONCE = 8 * 2**20
"""Bytes of images that are decoded before they are cut: to work out many boxes together takes a fraction of the time that it
takes one by one, and a photograph from a camera is large."""


@dataclass(frozen=True)
class Job:
    """Images for a worker process to read.

    Attributes:
        index: (n,) int64, which.
        draws: their crops; None: the middle of each.
        slot: where the crops are to be written; None: into memory of their own.
    """

    index: np.ndarray
    draws: Draws | None
    slot: int | None = None


class Decode:
    """A worker's job from file to crop.

    Args:
        files: of the split.
        side: R, what the shorter side is resized to, in pixels.
        size: S.
        slots: (slots, B, S, S, 3) uint8, shared memory.
    """

    def __init__(self, files: Listing, side: int, size: int, slots: torch.Tensor | None = None) -> None:
        self.files, self.side, self.size, self.slots = files, side, size, slots

    def __call__(self, job: Job) -> tuple[int | torch.Tensor, np.ndarray, Damaged]:
        """Crops (k, S, S, 3) uint8 of the k images that can be read, or the job's slot that has them; which of the job's n
        images these are, (k,) int64; and the others.
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
        """The images that can be read, (3, H, W) each, and their places, in groups; notes the others in `damaged`."""
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


class Read:
    """A worker's job where another device decodes: the files' bytes, in one piece, since each tensor sent costs a handle."""

    def __init__(self, files: Listing) -> None:
        self.files = files

    def __call__(self, job: Job) -> tuple[torch.Tensor, np.ndarray, np.ndarray, Damaged]:
        """The bytes of k files one after the other; (k, 3) int64, how many of each, and the height and width of an image
        that had to be decoded here, else 0; which of the job's n images these are; and the others.
        """
        pieces, shapes, kept, damaged = [], [], [], []
        for place, index in enumerate(job.index):
            try:
                piece = read_bytes(self.files.path(index))
                height = width = 0
                if not _is_plain(piece):
                    image = decode_bytes(piece)
                    height, width = image.shape[1:]
                    piece = image.permute(1, 2, 0).contiguous().view(-1).numpy()
            except DamagedImage as error:
                damaged.append((place, str(error)))
                continue
            pieces.append(piece)
            shapes.append((len(piece), height, width))
            kept.append(place)
        data = torch.from_numpy(np.concatenate([np.empty(0, np.uint8), *pieces]))
        return data, np.array(shapes, np.int64).reshape(-1, 3), np.array(kept, np.int64), damaged


def finish(
    read: tuple[torch.Tensor, np.ndarray, np.ndarray, Damaged], draws: Draws | None, side: int, size: int, device: torch.device
) -> tuple[torch.Tensor, np.ndarray, Damaged]:
    """What `Decode` gives, from what `Read` gives, on `device`: on a GPU in a stream of its own, beside what is queued."""
    if device.type != "cuda":
        return _finish(read, draws, side, size, device)
    queued, own = torch.cuda.current_stream(device), _own_stream(device)
    # torchvision's decoder writes at once into memory that it is given in the order of the current stream, whether or not
    # kernels in that are still to read it (pytorch/vision#9606). In the own stream these are the last batch's crops at most.
    own.synchronize()
    with torch.cuda.stream(own):
        batch, kept, damaged = _finish(read, draws, side, size, device)
    queued.wait_stream(own)
    batch.record_stream(queued)
    return batch, kept, damaged


def _finish(
    read: tuple[torch.Tensor, np.ndarray, np.ndarray, Damaged], draws: Draws | None, side: int, size: int, device: torch.device
) -> tuple[torch.Tensor, np.ndarray, Damaged]:
    data, shapes, kept, damaged = read
    pieces = data.split(shapes[:, 0].tolist())
    encoded = [piece for piece, shape in zip(pieces, shapes, strict=True) if not shape[1]]
    decoded = iter(_decode_on(encoded, device))
    wholes, found = [], []
    for place, piece, (_, height, width) in zip(kept.tolist(), pieces, shapes.tolist(), strict=True):
        whole = sent(piece.view(height, width, 3), device).permute(2, 0, 1) if height else next(decoded)
        if isinstance(whole, str):
            damaged = [*damaged, (place, whole)]
        else:
            wholes.append(whole)
            found.append(place)
    if not found:
        return torch.empty(0, size, size, 3, dtype=torch.uint8, device=device), np.array(found, np.int64), damaged
    crops, flips = zip(*cut_files(wholes, draws.part(found) if draws else None, side, size), strict=True)
    batch = torch.stack([crop.permute(1, 2, 0) for crop in crops])
    batch = torch.where(sent(torch.tensor(flips), device)[:, None, None, None], batch.flip(2), batch)
    return batch, np.array(found, np.int64), damaged


@functools.cache
def _own_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@functools.cache
def jpeg_device(device: torch.device) -> torch.device | None:
    """The device if it decodes JPEGs as the CPU does, else None, once it is said in a line why not."""
    from torchvision.io import ImageReadMode, decode_jpeg

    waves = np.sin(np.arange(96)[:, None] / 9 + np.arange(128)[None] / 13 + np.arange(3)[:, None, None])
    sample = io.BytesIO()
    Image.fromarray((127.5 + 120 * waves).astype(np.uint8).transpose(1, 2, 0)).save(sample, "JPEG", quality=95)
    data = torch.frombuffer(bytearray(sample.getvalue()), dtype=torch.uint8)
    try:
        [here], [there] = (decode_jpeg([data], ImageReadMode.RGB, device=where) for where in ("cpu", device))
        difference = (here.float() - there.cpu().float()).abs().max().item()
        reason = f"it is off by {difference:.0f} of 255" if difference > 8 else None
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
    if reason:
        print(f"JPEGs are decoded by worker processes, not on {device}: {reason}", flush=True)
    return None if reason else device


def read_bytes(path: str) -> np.ndarray:
    """A file's bytes, (n,) uint8. Raises DamagedImage."""
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise DamagedImage(str(error)) from None


def decode_bytes(data: np.ndarray) -> torch.Tensor:
    """A file's bytes as an image (3, H, W) uint8 RGB, usually in channels-last memory, turned as its EXIF tag says.

    Decoded by torchvision, which takes a third of Pillow's time; by Pillow what is no JPEG or too odd for torchvision.

    Raises:
        DamagedImage: the file is truncated or no image.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    if data[:3].tobytes() == _JPEG:
        try:
            return decode_jpeg(torch.from_numpy(data), ImageReadMode.RGB, apply_exif_orientation=True)
        except RuntimeError:
            pass  # Pillow has the last word on whether it is damaged
    return torch.from_numpy(np.array(open_upright(io.BytesIO(data.tobytes())))).permute(2, 0, 1)


def cut_files(images: Sequence[torch.Tensor], draws: Draws | None, side: int, size: int) -> Iterator[tuple[torch.Tensor, bool]]:
    """The crops of images of any size, and whether each is still to be flipped.

    Args:
        images: (3, H, W) uint8 each.
        draws: of these images; None: the middle of each.
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
    if draws is None:  # the middle of the middle R x R, which is what is left of an image in memory
        corners = ((lengths - side) // 2 + (side - size) // 2 for lengths in (heights, widths))
        square = np.full(len(images), size)
        found, flips = np.stack([*corners, square, square], 1), [False] * len(images)
    else:
        found, flips = boxes(draws, heights, widths, size), draws.flip.tolist()
    for image, (top, left, height, width), flip in zip(images, found.tolist(), flips, strict=True):
        crop = image[:, top : top + height, left : left + width]
        yield crop if height == width == size else resize(crop, size, size), flip


def resize(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(3, H, W) uint8 resized linearly, averaging where it shrinks, as Pillow does."""
    batch = image[None].contiguous(memory_format=torch.channels_last)
    on_cpu = image.device.type == "cpu"  # which has a kernel for bytes, twice as fast as that for floats
    batch = batch if on_cpu else batch.float()
    result = torch.nn.functional.interpolate(batch, size=(height, width), mode="bilinear", antialias=True)[0]
    return result if on_cpu else result.round_().clamp_(0, 255).to(torch.uint8)


def _is_plain(data: np.ndarray) -> bool:
    """Whether it is a JPEG that any decoder takes alike: whole, upright, RGB or grey."""
    if data[:3].tobytes() != _JPEG or _END not in data[-64:].tobytes():
        return False
    try:
        with Image.open(io.BytesIO(data.tobytes())) as file:  # reads the header only
            return file.mode in ("RGB", "L") and file.getexif().get(_ORIENTATION, 1) == 1
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return False


def _decode_on(encoded: list[torch.Tensor], device: torch.device) -> list[torch.Tensor | str]:
    """Images (3, H, W) on the device; of one that cannot be read, why."""
    from torchvision.io import ImageReadMode, decode_jpeg

    if not encoded:
        return []
    try:
        return list(decode_jpeg(encoded, ImageReadMode.RGB, device=device))
    except RuntimeError:  # it does not say which of them it is
        return [_decode_here(data, device) for data in encoded]


def _decode_here(data: torch.Tensor, device: torch.device) -> torch.Tensor | str:
    try:
        return sent(decode_bytes(data.numpy()), device)
    except DamagedImage as error:
        return str(error)
