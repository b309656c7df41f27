"""Gain of `Slots`: batches of streamed images in shared memory that is reused, against a new tensor for each batch.

.venv/bin/python benchmarks/slots.py --workers 2
"""

import itertools
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import click
import numpy as np
import psutil
import torch

from rotnet_lib.bench.loading import BATCH, SIDE, SIZE, write_photographs
from rotnet_lib.data.augment import Augment, draw
from rotnet_lib.data.decode_fast import Decode, Job
from rotnet_lib.data.listing import Listing, list_images
from rotnet_lib.data.pool import Slots, in_workers
from rotnet_lib.runs.provenance import cpu_name

CROPS: tuple[Augment, ...] = ("random-crop", "resized-crop")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Worker processes.")
@click.option("--turns", default=7, show_default=True, help="How often each way is measured, in turn with the other.")
@click.option("--seconds", default=3.0, show_default=True, help="How long each measurement takes.")
@click.option("--files", default=768, show_default=True, help="How many JPEGs are drawn.")
@click.option("--batch", default=BATCH, show_default=True, help="Images in a batch.")
def main(workers: int, turns: int, seconds: float, files: int, batch: int) -> None:
    """Images per second of wall time and of CPU time (all processes together), with slots and with plain tensors."""
    click.echo(f"{cpu_name()}, torch {torch.__version__}, {workers} workers, {turns} turns; median (smallest to largest)")
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder) / "photographs", files)
        listing = list_images(Path(folder))
        for crop in CROPS:
            ways: dict[str, Callable[[], Generator[torch.Tensor, None, None]]] = {
                "slots": lambda crop=crop: batches(listing, crop, batch, workers, slots=True),  # type: ignore[misc]
                "plain": lambda crop=crop: batches(listing, crop, batch, workers, slots=False),  # type: ignore[misc]
            }
            rates: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for turn in range(turns):
                for way in list(ways)[:: -1 if turn % 2 else 1]:
                    rates[way].append(rate(ways[way], seconds, 3 * workers))
            for place, clock in enumerate(("wall", "CPU")):
                slots, plain = (np.array(rates[way])[:, place] for way in ways)
                found = f"slots {_spread(slots)}, plain {_spread(plain)} images/s, ratio {_spread(slots / plain)}"
                click.echo(f"{crop}, {clock} time: {found}")


def batches(files: Listing, crop: Augment, batch: int, workers: int, *, slots: bool) -> Generator[torch.Tensor, None, None]:
    """Endless batches (B, 224, 224, 3) uint8 of images of 256 pixels, each batch in a slot or in a tensor of its own."""
    ring = Slots(workers, batch, SIZE, SIZE, 3) if slots else None
    rng = np.random.default_rng(0)

    def jobs() -> Iterator[Job]:
        for start in itertools.count(0, batch):
            index = np.arange(start, start + batch) % len(files)
            yield Job(index, draw(crop, batch, rng), ring.take() if ring else None)

    with closing(in_workers(Decode(files, SIDE, SIZE, ring.memory if ring else None), jobs(), workers)) as results:
        for images, kept, _ in results:
            if isinstance(images, int):
                assert ring is not None
                images = ring.give(images, len(kept))
            yield images


def rate(start: Callable[[], Generator[torch.Tensor, None, None]], seconds: float, warm_up: int) -> tuple[float, float]:
    """Images per second of wall time and of CPU time, after so many batches."""
    with closing(start()) as found:
        last = deque(itertools.islice(found, warm_up), maxlen=1)  # the last batch is kept, as a training step does
        images, begin, cpu = 0, time.perf_counter(), _cpu_seconds()
        while time.perf_counter() - begin < seconds or _cpu_seconds() == cpu:  # CPU time is counted in ticks of 10 ms
            last.append(next(found))
            images += len(last[0])
        return images / (time.perf_counter() - begin), images / (_cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """User and system time of this process and its children so far."""
    processes = [psutil.Process(), *psutil.Process().children()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _spread(values: np.ndarray) -> str:
    digits = 2 if values.max() < 100 else 0
    return f"{np.median(values):,.{digits}f} ({values.min():,.{digits}f} to {values.max():,.{digits}f})"


if __name__ == "__main__":
    main()
