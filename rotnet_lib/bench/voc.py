"""How fast this machine reads a set in VOC's layout, and whether memory stays flat meanwhile."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import psutil

from rotnet_lib.data.pool import in_workers, worker_count
from rotnet_lib.data.voc.sets import open_voc
from rotnet_lib.data.voc.split import VocSplit
from rotnet_lib.runs.provenance import cpu_name

SCENES, SIDE = 5000, 256
"""How many drawn scenes are read, and the longer side of each in pixels."""

_A_TASK = 50

READERS: dict[str, Callable[[VocSplit, int], object]] = {
    "images": VocSplit.image,
    "annotations": VocSplit.objects,
    "masks": VocSplit.mask,
}
"""What is read of a split, and by which of its methods."""


@dataclass(frozen=True)
class ReadingRates:
    """A pass over a set for each of `READERS`.

    Attributes:
        rates: what is read -> a second.
        before, after: resident memory of the processes that read, in MiB together: once each has read its first few files,
            and when all files of all kinds are read.
        processes: how many there are.
    """

    rates: dict[str, float]
    before: float
    after: float
    processes: int


def report(workers: int | None) -> str:
    """Draw 5 000 scenes of 256 pixels into the cache, if they are not there, and read them.

    Args:
        workers: processes that read in the second pass; None: one a core.

    Returns:
        Images, annotations and masks a second in one process and in several, and the memory at both ends of the reading.
    """
    found = open_voc(f"scenes:{SIDE}", "segmentation", SCENES, 1)
    lines = [f"{found.title}, {len(found.train):,} files of each kind, {cpu_name()}"]
    for measured in (reading_rates(found.train, 0), reading_rates(found.train, worker_count(workers))):
        rates = ", ".join(f"{rate:,.0f} {what}/s" for what, rate in measured.rates.items())
        who = f"{measured.processes} process" + ("es" if measured.processes > 1 else "")
        lines.append(f"{who}: {rates}; memory {measured.before:,.0f} MiB at the start, {measured.after:,.0f} MiB at the end")
    return "\n".join(lines)


def reading_rates(split: VocSplit, workers: int) -> ReadingRates:
    """Read all images of a split, then all annotations, then all masks.

    Args:
        split: of at least two tasks a process and kind, else nothing is left to be timed.
        workers: processes that do nothing else; 0: this one.
    """
    parts = [places.tolist() for places in np.split(np.arange(len(split)), range(_A_TASK, len(split), _A_TASK))]
    tasks = [(what, part) for what in READERS for part in parts]
    ahead = 2 * workers  # tasks of a kind that may be done before the last result of the kind before it is taken
    rates: dict[str, float] = {}
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    with closing(in_workers(_Read(split), tasks, workers)) as results:
        for what in READERS:
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
    """A worker's job: read, and throw away."""

    def __init__(self, split: VocSplit) -> None:
        self.split = split

    def __call__(self, task: tuple[str, list[int]]) -> tuple[int, float]:
        """This process, and its resident memory in MiB afterwards."""
        what, places = task
        for place in places:
            READERS[what](self.split, place)
        return os.getpid(), psutil.Process().memory_info().rss / 2**20
