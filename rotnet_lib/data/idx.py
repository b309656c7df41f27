"""The idx format, in which MNIST and its relatives come: a header of big-endian numbers, then the bytes."""

import zlib
from pathlib import Path

import numpy as np

from rotnet_lib.data.opening import read_file, shown
from rotnet_lib.errors import RotnetError

_GZIP = b"\x1f\x8b"
_BYTES = 8
"""The number of the type uint8 in a header."""


def read_idx(path: Path, shape: tuple[int, ...], remedy: str) -> bytes:
    """The content of an idx file of bytes, compressed by gzip or not: its header and what follows.

    No more is unpacked than such a file holds, so that a small file cannot fill the memory.

    Args:
        path: of the file.
        shape: that its header must state.
        remedy: the error's last sentence.

    Raises RotnetError as `read_file` does, and if it is no such file: with the reason.
    """
    header = _header(shape)
    size = len(header) + int(np.prod(shape))
    content = read_file(path, remedy, size + 2**16)  # gzip makes what it cannot compress a little longer
    if content.startswith(_GZIP):
        content = _unpacked(path, content, size, remedy)
    if content[: len(header)] != header:
        raise RotnetError(
            f"damaged file {shown(path)}: it begins with {content[: len(header)].hex(' ', 4) or 'nothing'}, but one of "
            f"{' x '.join(map(str, shape))} bytes begins with {header.hex(' ', 4)}. {remedy}"
        )
    if len(content) != size:
        long = "it goes on after its end" if len(content) > size else f"it is cut short: {len(content)} bytes of {size}"
        raise RotnetError(f"damaged file {shown(path)}: {long}. {remedy}")
    return content


def idx_array(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers in what `read_idx` read, uint8 of that shape. They cannot be written to."""
    return np.frombuffer(content, np.uint8, offset=len(_header(shape))).reshape(shape)


def _header(shape: tuple[int, ...]) -> bytes:
    return np.array([_BYTES << 8 | len(shape), *shape], ">u4").tobytes()


def _unpacked(path: Path, content: bytes, most: int, remedy: str) -> bytes:
    """At most `most` + 1 bytes of what gzip has compressed. Raises RotnetError if that is damaged or cut short."""
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = reader.decompress(content, most + 1)
    except zlib.error as error:
        raise RotnetError(f"damaged file {shown(path)}: {error}. {remedy}") from None
    if len(unpacked) <= most and not reader.eof:
        raise RotnetError(f"damaged file {shown(path)}: what gzip has compressed is cut short. {remedy}")
    return unpacked
