"""How fast this machine reads a set in VOC's layout, and whether memory stays flat meanwhile.

.venv/bin/python benchmarks/voc_reading.py --workers 2
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import click
import numpy as np
import psutil

from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.voc.sets import open_voc
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.runs.provenance import cpu_name

Readers = Mapping[str, Callable[[VocSplit, int], object]]

READERS: Readers = {
    "images": VocSplit.image,
    "annotations": VocSplit.objects,
    "masks": VocSplit.mask,
}
"""What is read of a split, and the method that reads it."""


@dataclass(frozen=True)
class ReadingRates:
    """A pass over a set for each of its readers.

    Attributes:
        rates: what is read -> files a second.
        before, after: resident memory of the processes that read, in MiB together: once each has read its first few files,
            and when all files of all kinds are read.
        processes: how many processes read.
    """

    rates: dict[str, float]
    before: float
    after: float
    processes: int


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workers", type=click.IntRange(1), help="Processes in the second pass; by default one per core.")
@click.option("--scenes", default=5000, show_default=True, help="How many drawn scenes are read.")
@click.option("--side", default=256, show_default=True, help="Longer side of a scene, in pixels.")
@click.option("--files-a-task", default=50, show_default=True, help="How many files a process reads at a time.")
def main(workers: int | None, scenes: int, side: int, files_a_task: int) -> None:
    """Images, annotations and masks a second in one process and in several, and the memory at both ends of the reading.

    The scenes are drawn into the cache, if they are not there.
    """
    data = open_voc(f"scenes:{side}", "segmentation", scenes, 1)
    click.echo(f"{data.title}, {len(data.train):,} files of each kind, {cpu_name()}")
    for count in (0, worker_count(workers)):
        measured = reading_rates(data.train, count, files_a_task)
        rates = ", ".join(f"{rate:,.0f} {what}/s" for what, rate in measured.rates.items())
        who = f"{measured.processes} process" + ("es" if measured.processes > 1 else "")
        click.echo(f"{who}: {rates}; memory {measured.before:,.0f} MiB at the start, {measured.after:,.0f} MiB at the end")


def reading_rates(split: VocSplit, workers: int, files_a_task: int = 50, readers: Readers = READERS) -> ReadingRates:
    """Read all images of a split, then all annotations, then all masks.

    Args:
        split: of at least two tasks a process and kind, else nothing is left to be timed.
        workers: processes that do nothing else; 0: this one.
        files_a_task: how many files a process reads at a time.
        readers: what is read, and the function that reads it.
    """
    parts = [places.tolist() for places in np.split(np.arange(len(split)), range(files_a_task, len(split), files_a_task))]
    tasks = [(what, part) for what in readers for part in parts]
    ahead = 2 * workers  # tasks of a kind that may be done before the last result of the kind before it is taken
    rates: dict[str, float] = {}
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    with closing(in_workers(_Read(split, readers), tasks, workers)) as results:
        for what in readers:
            count, begin = 0, time.perf_counter()
            for number, part in enumerate(parts):
                process, memory = next(results)
                first.setdefault(process, memory)
                last[process] = memory
                if number < ahead:
                    begin = time.perf_counter()
                else:
                    count += len(part)
            rates[what] = count / (time.perf_counter() - begin)
    return ReadingRates(rates, sum(first.values()), sum(last.values()), len(first))


class _Read:
    """A worker's job: read files, and throw them away."""

    def __init__(self, split: VocSplit, readers: Readers) -> None:
        self.split, self.readers = split, readers

    def __call__(self, task: tuple[str, list[int]]) -> tuple[int, float]:
        """This process, and its resident memory in MiB afterwards."""
        what, places = task
        for place in places:
            self.readers[what](self.split, place)
        return os.getpid(), psutil.Process().memory_info().rss / 2**20


if __name__ == "__main__":
    main()
