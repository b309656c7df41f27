"""Image files from anywhere: what is read of them with Pillow, and what is refused, with the reason."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from PIL import ExifTags, Image, UnidentifiedImageError

from rotnet_lib.files import kind_of

VERSION = 2
"""Part of the fingerprint of image files: raise it when a file comes to be refused, read or turned otherwise, and say in
`image_versions` which files those are. Version 1 read grey images of more than 8 bits as white or black."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. Their readers decode in this process, from this file alone; that of EPS starts
another program. `listing.EXTENSIONS` are what such files are called."""

LEAST_SIDE = 8
"""Pixels. A smaller image shows nothing, and is mostly a placeholder or a tracking pixel."""

LARGEST_RATIO = 50
"""Of the longer side to the shorter. Resizing the shorter side to R pixels makes R x R x ratio of them, 10 MB at 256 and 50."""

LARGEST_FILE = 2**30
"""Bytes of an image file."""

# Pillow warns of images of more than MAX_IMAGE_PIXELS, which are read, and refuses those of twice as many. Ignored once, here:
# warnings.catch_warnings is not safe in several threads.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

TURNS: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the image upright. 1: it is."""

ImageFile = str | os.PathLike[str] | io.BytesIO
"""A path, or a file's bytes."""

T = TypeVar("T")


class DamagedImage(Exception):
    """A file that is no image, only part of one, or none that can be trained on; the message says why, without its name."""


def read_rgb(file: ImageFile, *, upright: bool) -> Image.Image:
    """An image in RGB; of an animation the first frame.

    Args:
        file: a path, or the bytes.
        upright: turn it as its orientation says (see `read_orientation`): a phone's photograph may be stored on its side.

    Raises:
        DamagedImage: whatever is wrong with it, and more than 8 bits a channel where Pillow would clip them.
    """
    return _read(file, lambda image: _rgb(image, upright))


def read_indices(file: ImageFile) -> Image.Image:
    """An image in the mode it has: one with a palette (mode P) has the palette's indices.

    Raises DamagedImage, also for grey values of less than 8 bits, which Pillow would scale.
    """

    def loaded(image: Image.Image) -> Image.Image:
        if any(str(tile[3]).startswith("L;") for tile in getattr(image, "tile", ())):
            raise DamagedImage("its grey values have less than 8 bits, and would be scaled: save it with 8 bits")
        image.load()
        return image

    return _read(file, loaded)


def read_size(file: ImageFile) -> tuple[int, int]:
    """Width and height in pixels as stored, from the head of the file. Raises DamagedImage."""
    return _read(file, lambda image: image.size)


def read_orientation(file: ImageFile) -> int:
    """An image's orientation, 1 to 8, by its EXIF or XMP data as Pillow reads them; 1 where they do not say.

    Raises DamagedImage as `read_size` does; data that cannot be read are no damage.
    """
    return _read(file, _orientation)


def read_head(file: ImageFile) -> bool:
    """Whether a JPEG has segments that may hold its orientation (APP1), from the head of the file; of other formats False.

    Raises DamagedImage as `read_rgb` does, but for what is wrong with the pixels.
    """

    def head(image: Image.Image) -> bool:
        _check_depth(image)
        return any(name == "APP1" for name, _ in getattr(image, "applist", ()))

    return _read(file, head)


def check_path(path: str | os.PathLike[str]) -> None:
    """Raises DamagedImage for a path that leads to no file that is read: to nothing, to a named pipe, which a reader would wait
    for, or to a file far larger than an image.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise DamagedImage(str(error)) from None
    if kind := kind_of(found.st_mode):
        raise DamagedImage(f"it is a {kind}, not a file")
    if found.st_size > LARGEST_FILE:
        raise DamagedImage(f"it has {found.st_size} bytes, and an image file may have {LARGEST_FILE}")


def check_size(width: int, height: int) -> None:
    """Raises DamagedImage for an image that is too small, too long or too large, before its pixels are decoded."""
    size = f"it is {width} x {height} pixels"
    if min(width, height) < LEAST_SIDE:
        raise DamagedImage(f"{size}, and the shorter side must be at least {LEAST_SIDE}")
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise DamagedImage(f"{size}, and the longer side may be at most {LARGEST_RATIO} times the shorter")
    if (most := _most_pixels()) is not None and width * height > most:
        raise DamagedImage(f"{size}, more than the {most} that are read: make it smaller")


def _most_pixels() -> int | None:
    """Above this number Pillow refuses an image; None: it never does."""
    return None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as stored, from a JPEG's frame header; None if it has none before its pixels.

    It takes a tenth of the time that Pillow takes to open the file, which counts where torchvision decodes.
    """
    at, end = 2, len(data)
    while at < end:
        at = data.find(b"\xff", at)  # decoders skip what stands between two segments
        if at < 0:
            return None
        while at < end and data[at] == 0xFF:
            at += 1
        if at + 8 > end or data[at] in (0xD9, 0xDA):  # the image's end, or its pixels
            return None
        marker = data[at]
        at += 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header: length, precision, height, width
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        if marker not in (0x00, 0x01, *range(0xD0, 0xD9)):  # the others have a length, which counts itself
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return None


def _read(file: ImageFile, work: Callable[[Image.Image], T]) -> T:
    """What `work`, which calls Pillow alone, makes of an image of a size that is read."""
    try:
        if not isinstance(file, io.BytesIO):
            check_path(file)
        with Image.open(file, formats=FORMATS) as image:
            check_size(*image.size)
            return work(image)
    except (DamagedImage, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise DamagedImage(f"it has more than the {_most_pixels()} pixels that are read: make it smaller") from None
    except UnidentifiedImageError:
        raise DamagedImage(f"it is damaged, or none of the formats that are read: {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's readers raise whatever damaged bytes make them stumble over
        raise DamagedImage(str(error) or type(error).__name__) from None


def _check_depth(image: Image.Image) -> None:
    if image.mode == "F" or image.mode.startswith("I"):
        raise DamagedImage(
            f"its channels have more than 8 bits (mode {image.mode}), and Pillow would clip them: "
            "convert it to 8 bits a channel, in the range that you mean"
        )


def _rgb(image: Image.Image, upright: bool) -> Image.Image:
    _check_depth(image)
    image.load()
    turn = TURNS.get(_orientation(image)) if upright else None
    return (image if turn is None else image.transpose(turn)).convert("RGB")


def _orientation(image: Image.Image) -> int:
    # Not ImageOps.exif_transpose: it writes all tags anew, and fails on photographs that have an odd one.
    try:
        found: Any = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow's reader raises whatever damaged bytes make it stumble over
        return 1
    return int(found) if found in TURNS else 1
