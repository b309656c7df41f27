"""Smaller copies of image files, made once, since large photographs take long to decode."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from rotnet_lib.data.damage import Damage
from rotnet_lib.data.decode import resized
from rotnet_lib.data.decode_fast import Damaged, decode_bytes, read_bytes, resize
from rotnet_lib.data.image_files import DamagedImage
from rotnet_lib.data.listing import Listing, SplitName, fingerprint
from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.source import cache_root
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, replacing, write_text
from rotnet_lib.paths import LONGEST_NAME

QUALITY = 95
"""Of the copies' JPEG compression."""

_DONE = "complete.json"
_FILES_A_TASK = 32

_LONGEST = LONGEST_NAME - 15
"""Bytes of a copy's name: `replacing` adds up to 15 to it."""


def shrunk(
    files: Mapping[SplitName, Listing],
    splits: Iterable[SplitName],
    side: int,
    damages: Mapping[SplitName, Damage],
    workers: int | None,
) -> dict[SplitName, Listing]:
    """Copies of the files of some splits as RGB JPEGs of quality 95, upright, whose shorter side is `side` pixels.

    Smaller images keep their size. The copies are kept in the cache folder. Each is written atomically, so that after an
    interruption only the missing ones are made.

    Args:
        files: the originals, of both splits.
        splits: which to copy.
        side: of the copies, in pixels.
        damages: count the originals that cannot be read, which have no copy.
        workers: number of worker processes; None: one for each core.

    Raises:
        RotnetError: too many are damaged; the cache folder cannot be written to.
    """
    digest = hashlib.sha256(f"{QUALITY} {fingerprint(files, side)}".encode()).hexdigest()[:16]
    root = cache_root() / f"shrunk-{side}-{digest}"
    try:
        return {split: _shrink(files[split], side, root / split, damages[split], worker_count(workers)) for split in splits}
    except OSError as error:
        raise RotnetError(f"cannot keep smaller copies of the images in {root}: {error}. Set ROTNET_CACHE.") from None


def _shrink(files: Listing, side: int, folder: Path, damage: Damage, workers: int) -> Listing:
    done = folder / _DONE
    if not done.exists():
        for directory in {os.path.dirname(name) for name in files.names.tolist()}:
            (folder / os.fsdecode(directory)).mkdir(parents=True, exist_ok=True)
        damaged: Damaged = []
        work = _Shrink(files, side, folder)
        places = np.arange(len(files))
        tasks: Iterator[np.ndarray] = (places[start : start + _FILES_A_TASK] for start in places[::_FILES_A_TASK])
        bar = tqdm(desc=f"copies of {side} pixels", total=len(files), unit=" images", leave=False)
        with bar, closing(in_workers(work, tasks, workers)) as results:
            for count, failures in results:
                bar.update(count)
                for place, reason in failures:
                    damage.add(files, place, reason)
                    damaged.append((place, reason))
        write_text(done, json.dumps(damaged))
    else:
        damaged = _left_out(done, len(files))
        for place, reason in damaged:
            damage.add(files, place, reason)
    kept = np.delete(np.arange(len(files)), [place for place, _ in damaged])
    names = np.array([_copy_name(name) for name in files.names[kept].tolist()])
    return Listing(str(folder), names, files.labels[kept], files.classes, places=files.original_places[kept])


def _left_out(done: Path, files: int) -> Damaged:
    """The files without a copy, and why. Raises RotnetError if the record of them is damaged."""
    again = f"Delete {done.parent} and run again."
    try:
        damaged = [(place, reason) for place, reason in json.loads(read_text(done, again))]
        if not all(type(place) is int and 0 <= place < files and isinstance(reason, str) for place, reason in damaged):
            raise ValueError("it is no list of places and reasons")
    except (ValueError, TypeError, RecursionError) as error:
        raise RotnetError(f"{done} is damaged ({error}). {again}") from None
    return damaged


class _Shrink:
    """Makes copies of some of the files, in a worker process."""

    def __init__(self, files: Listing, side: int, folder: Path) -> None:
        self.files, self.side, self.folder = files, side, folder

    def __call__(self, places: np.ndarray) -> tuple[int, Damaged]:
        """The number of files, and those of them that could not be read."""
        damaged: Damaged = []
        for place in places.tolist():
            target = self.folder / os.fsdecode(_copy_name(self.files.names[place]))
            if target.exists():
                continue
            try:
                image = decode_bytes(read_bytes(self.files.path(place)))
            except DamagedImage as error:
                damaged.append((place, str(error)))
                continue
            if min(image.shape[1:]) > self.side:
                height, width = resized(image.shape[1], image.shape[2], self.side)
                image = resize(image, height, width)
            with replacing(target) as temporary:
                _encode(image).numpy().tofile(temporary)
        return len(places), damaged


def _copy_name(name: bytes) -> bytes:
    """The original's name, with `.jpg` added unless it ends so: `a.png` and `a.jpg` are two images.

    Of a name that leaves no room for the temporary file's, which is longer, the end becomes a checksum.
    """
    copy = name if name.lower().endswith((b".jpg", b".jpeg")) else name + b".jpg"
    folder, base = os.path.split(copy)
    if len(base) > _LONGEST:
        base = base[: _LONGEST // 2] + hashlib.sha256(base).hexdigest()[:32].encode() + b".jpg"
    return os.path.join(folder, base)


def _encode(image: torch.Tensor) -> torch.Tensor:
    from torchvision.io import encode_jpeg  # takes a second to import

    return encode_jpeg(image.contiguous(), QUALITY)
