"""How fast this machine reads image files, against what decoding alone allows."""

import itertools
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.decode_fast import decode_bytes, read_bytes
from rotnet_lib.data.listing import Listing, list_images
from rotnet_lib.data.loader import Loader
from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.runs.provenance import cpu_name
from rotnet_lib.temporary import temporary_folder

SIDE, SIZE, BATCH = 256, 224, 192
"""Of ImageNet's protocol (docs/protocol.md): pixels of the files' shorter side and of a crop, images a batch."""

_TURNS = 5
_FASTEST = 200_000
"""Images a second: more than any machine loads."""


@dataclass(frozen=True)
class LoadingRates:
    """Images a second.

    Attributes:
        decode: read from disk and decoded by the same number of processes, which do nothing else.
        random_crop, resized_crop: in batches of a loader that cuts such crops.
        workers: processes that read.
        kilobytes: mean size of a file, in thousands of bytes.
    """

    decode: float
    random_crop: float
    resized_crop: float
    workers: int
    kilobytes: float


def report(rates: LoadingRates) -> str:
    """The rates in sentences, with the loader's share of what decoding alone allows."""
    lines = [
        f"{cpu_name()}, {rates.workers} processes that read, JPEGs of {SIDE} pixels and {rates.kilobytes:.0f} kB",
        f"decoding alone: {rates.decode:,.0f} images/s",
    ]
    for name, rate in (("random crops", rates.random_crop), ("random resized crops", rates.resized_crop)):
        lines.append(f"loader, {name} of {SIZE} pixels: {rate:,.0f} images/s, {100 * rate / rates.decode:.0f} % of that")
    return "\n".join(lines)


def loading_rates(seconds: float, workers: int | None = None, *, files: int = 768, batch: int = BATCH) -> LoadingRates:
    """Measure how fast images are loaded, on the CPU, from 256-pixel JPEGs like photographs that are drawn for it.

    The three rates are measured in turns, and each is the median of its turns: other work on the machine comes and goes.

    Args:
        seconds: how long each of the three is measured, after warm-ups.
        workers: processes that read; 0: this one; None: one a core.
        files: how many JPEGs are drawn.
        batch: images in a batch.
    """
    count = worker_count(workers)
    with temporary_folder(Path(tempfile.gettempdir())) as folder:
        mean_size = write_photographs(folder / "photographs", files)
        listing = list_images(folder)
        order = np.random.default_rng(0).permutation(files)
        batches = (np.resize(np.roll(order, -start), batch) for start in itertools.count(0, batch))
        # One epoch that does not end before the time is up, since every epoch starts its processes anew.
        entries = batch * (3 * max(count, 1) + 1) + int(_FASTEST * seconds)
        split = StreamedSplit(listing.part(np.resize(order, entries)), SIDE, SIZE, workers=count)
        jobs = (
            lambda: in_workers(_Decode(listing), batches, count),
            lambda: _loaded(split, "random-crop", batch),
            lambda: _loaded(split, "resized-crop", batch),
        )
        turns = [[_rate(job, seconds / _TURNS, count) for job in jobs] for _ in range(_TURNS)]
        decode, random_crop, resized_crop = np.median(turns, axis=0).tolist()
    return LoadingRates(decode, random_crop, resized_crop, count, mean_size / 1000)


class _Decode:
    """A worker's job: decode files, and throw the images away."""

    def __init__(self, files: Listing) -> None:
        self.files = files

    def __call__(self, places: np.ndarray) -> int:
        for place in places:
            decode_bytes(read_bytes(self.files.path(place)))
        return len(places)


def _loaded(split: StreamedSplit, augment: Augment, batch_size: int) -> Generator[int, None, None]:
    """The sizes of an epoch's batches."""
    loader = Loader(split, batch_size, seed=0, augment=augment)
    with closing(loader.epoch(0)) as batches:
        for batch in batches:
            yield len(batch)


def _rate(start: Callable[[], Generator[int, None, None]], seconds: float, workers: int) -> float:
    """Images a second, after a warm-up in which each process delivers the batches that it prefetches."""
    with closing(start()) as counts:
        for _ in range(3 * max(workers, 1)):
            next(counts)
        begin, images = time.perf_counter(), 0
        while (taken := time.perf_counter() - begin) < seconds or not images:
            images += next(counts)
        return images / taken


def write_photographs(folder: Path, count: int) -> float:
    """Write so many of `photographs` as JPEGs of 20 to 40 kB each. Returns their mean size in bytes."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    for path, pixels in zip(paths, photographs(), strict=False):
        Image.fromarray(pixels).save(path, quality=90)
    return float(np.mean([path.stat().st_size for path in paths]))


def photographs() -> Iterator[np.ndarray]:
    """Endless images (256, 256, 3) uint8: noise whose strength falls with its frequency, as in photographs."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    while True:
        spectrum = rng.normal(size=(3, *frequency.shape)) + 1j * rng.normal(size=(3, *frequency.shape))
        spectrum[1:] = spectrum[:1] + 0.3 * spectrum[1:]  # channels are much alike
        planes = np.fft.irfft2(spectrum / frequency**1.2, (SIDE, SIDE))
        planes = 120 + 55 * (planes - planes.mean()) / planes.std()
        yield planes.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
