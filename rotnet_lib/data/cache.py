"""A split's images as arrays, decoded once for all runs."""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from rotnet_lib.data.damage import Damage
from rotnet_lib.data.decode import decode_all
from rotnet_lib.data.listing import Listing, SplitName
from rotnet_lib.data.opening import is_there
from rotnet_lib.data.source import Source, cache_root
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import check_is_file, replacing

_DAMAGED, _CHECKSUM, _NAME = "damaged", "crc32", "name"
"""Keys, in the file's metadata: the names of the files that were left out, a checksum over images and labels, and the name of
the file itself, which says what it was decoded from."""

_FORMAT = 2
"""Part of a cache's name: raise it when these files come to hold something else. The first had no checksum and no name."""

Decoded = tuple[np.ndarray, np.ndarray, list[str]]


def decoded(
    name: str,
    source: Source,
    split: SplitName,
    count: int | None,
    files: Listing | None,
    damage: Damage | None,
    shrink: int | None,
) -> Decoded:
    """Images (N, R, R, 3) uint8, labels (N,) int64 and the names of damaged files, from the cache if they are there.

    Args:
        name: of the dataset.
        source: the dataset.
        split: name of the split.
        count: number of images of a generated dataset.
        files: the split's, if it is made of files.
        damage: counts the files that cannot be read.
        shrink: shorter side of the files in pixels, if they are smaller copies; None: they are the originals.
    """
    if not source.cached:
        return *source.decode(split, count), []
    extent = count if source.generated else None  # each number of images is a set of its own
    what = (name, source.fingerprint, split, extent, *([shrink] if shrink else []), _FORMAT)
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    path = cache_root() / f"{name.partition(':')[0]}-{source.side}-{split}-{key}.safetensors"
    if is_there(path):
        images, labels, damaged = _read(path)
        if damage:
            damage.check(damaged)
        return images, labels, damaged
    images, labels = decode_all(files, source.side, damage) if files and damage else source.decode(split, count)
    damaged = damage.names if damage else []
    try:
        with replacing(path) as temporary:
            # safetensors writes the bytes of an array that is not contiguous in their order in memory: a scrambled image.
            images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels)
            metadata = {_DAMAGED: json.dumps(damaged), _CHECKSUM: _checksum(images, labels), _NAME: path.name}
            safetensors.numpy.save_file({"images": images, "labels": labels}, temporary, metadata)
    except OSError as error:
        raise RotnetError(f"cannot keep the decoded images in {path.parent}: {error}. Set ROTNET_CACHE.") from None
    return images, labels, damaged


def _read(path: Path) -> Decoded:
    again = "Delete that file and run again."
    try:
        check_is_file(path, again)
        with safetensors.safe_open(path, "numpy") as file:
            images, labels = (file.get_tensor(key) for key in ("images", "labels"))
            metadata = file.metadata() or {}
            damaged = json.loads(metadata.get(_DAMAGED, "[]"))
    except (safetensors.SafetensorError, KeyError, OSError, ValueError, RecursionError) as error:
        raise RotnetError(f"the decoded images in {path} are damaged ({error}). {again}") from None
    whole = images.dtype == np.uint8 and images.ndim == 4 and labels.dtype == np.int64 and labels.shape == images.shape[:1]
    if not whole or not isinstance(damaged, list) or not all(isinstance(name, str) for name in damaged):
        found = f"images {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}"
        raise RotnetError(f"the decoded images in {path} are damaged ({found}). {again}")
    if metadata.get(_NAME) != path.name:
        raise RotnetError(f"the decoded images in {path} are those of {metadata.get(_NAME, 'another file')}. {again}")
    if metadata.get(_CHECKSUM) != _checksum(images, labels):
        raise RotnetError(f"the decoded images in {path} are damaged (their checksum is another). {again}")
    return images, labels, damaged


def _checksum(images: np.ndarray, labels: np.ndarray) -> str:
    return f"{zlib.crc32(labels.data, zlib.crc32(images.data)):08x}"
