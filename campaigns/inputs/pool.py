"""Trials in processes of their own, with a bound on time and on memory."""

import multiprocessing
import os
import resource
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from campaigns.inputs.trial import Kind, Outcome, last_line, noted, run_trial, surroundings

_PREPARATION = -1
"""In place of a trial's number: the good input is made."""

BATCH = 25
"""Trials of a process: starting one takes longer than most trials do."""


@dataclass(frozen=True)
class Bounds:
    """What a trial may take.

    Attributes:
        seconds: longer is a hang.
        memory: bytes beyond what its process has at the start. What exceeds it gets a MemoryError.
    """

    seconds: float = 20.0
    memory: int = 2 * 2**30


@dataclass(frozen=True)
class Campaign:
    """What all trials share.

    Attributes:
        kinds: by name.
        seed: with kind and number it says what an input is.
        good: folder with the good input of each kind, in a folder called as the kind.
        work: where each trial has its folder, `kind-number`.
        bounds: of each trial.
    """

    kinds: Mapping[str, Kind]
    seed: int
    good: Path
    work: Path
    bounds: Bounds = field(default_factory=Bounds)

    def folder(self, kind: str, number: int) -> Path:
        """Of a trial."""
        return self.work / f"{kind}-{number}"


@dataclass(frozen=True)
class _Batch:
    """Some trials of a kind, for one process.

    Attributes:
        again: whether it is the second try of a trial that was cut off.
    """

    kind: str
    numbers: tuple[int, ...]
    again: bool = False


def prepare(campaign: Campaign, names: Iterable[str], workers: int) -> Iterator[Outcome]:
    """Make the good input of each kind. Yields nothing but outcomes of those that failed."""
    yield from _run(campaign, [_Batch(name, (_PREPARATION,)) for name in names], workers)


def run_all(campaign: Campaign, trials: Iterable[tuple[str, int]], workers: int) -> Iterator[Outcome]:
    """The outcomes of trials, each a kind's name and a number, as they come.

    A trial that ends its process, or takes longer than it may, is tried once more by itself: the machine may have stood still,
    or have run out of memory for other reasons. If it is cut off again, it is neither right nor named. What its process has
    started is killed with it.
    """
    of_kind: dict[str, list[int]] = {}
    for name, number in trials:
        of_kind.setdefault(name, []).append(number)
    batches = [
        _Batch(name, tuple(numbers[start : start + BATCH]))
        for name, numbers in of_kind.items()
        for start in range(0, len(numbers), BATCH)
    ]
    yield from _run(campaign, batches, workers)


def _run(campaign: Campaign, batches: Iterable[_Batch], workers: int) -> Iterator[Outcome]:
    waiting = deque(batches)
    running: list[_Process] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Process(campaign, waiting.popleft()))
            first = min(process.deadline for process in running)
            wait([process.connection for process in running], max(0, first - time.monotonic()))
            for process in list(running):
                yield from process.outcomes()
                if process.ended:
                    running.remove(process)
                    waiting.extendleft(process.remaining())
    finally:
        for process in running:
            process.kill()


class _Process:
    """A process that works through a batch."""

    def __init__(self, campaign: Campaign, batch: _Batch) -> None:
        self._campaign, self._batch, self._left = campaign, batch, list(batch.numbers)
        self._cut_off: int | None = None
        context = multiprocessing.get_context("fork")  # importing torch anew would take seconds
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(campaign, batch.kind, batch.numbers, theirs))
        self._process.start()
        theirs.close()
        self.ended = False
        self._begin_next()

    def _begin_next(self) -> None:
        self.deadline = time.monotonic() + self._campaign.bounds.seconds

    def outcomes(self) -> Iterator[Outcome]:
        """Those that have come since, and that of a trial that was cut off a second time."""
        while not self.ended and self.connection.poll():
            try:
                outcome = self.connection.recv()
            except EOFError:
                wait([self._process.sentinel], 5)
                self.kill()
                yield from self._after_end(f"its process ended by {self._how()}")
                return
            self._left.pop(0)
            self._begin_next()
            if outcome is not None:
                yield outcome
        if not self.ended and time.monotonic() > self.deadline:
            self.kill()
            yield from self._after_end(f"no end in {self._campaign.bounds.seconds:g} s")

    def _how(self) -> str:
        code = self._process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _after_end(self, reason: str) -> Iterator[Outcome]:
        """What is to be said of the trial at which the process has ended."""
        if not self._left:
            return
        number, kind = self._left.pop(0), self._batch.kind
        if self._batch.again or number == _PREPARATION:
            yield Outcome(kind, number, "neither", noted(self._campaign.folder(kind, number)), reason)
        else:
            self._cut_off = number

    def remaining(self) -> list[_Batch]:
        """What others have to do in place of this process, which has ended."""
        batches = [_Batch(self._batch.kind, tuple(self._left))] if self._left else []
        return batches if self._cut_off is None else [_Batch(self._batch.kind, (self._cut_off,), again=True), *batches]

    def kill(self) -> None:
        """End the process and what it has started."""
        assert self._process.pid  # which is nobody else's before `join`
        with suppress(ProcessLookupError):  # it is no group's leader yet
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.connection.close()
        self.ended = True


def _work(campaign: Campaign, name: str, numbers: tuple[int, ...], connection: Connection) -> None:
    os.setsid()  # so that what a trial starts can be killed with it
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    kind, good = campaign.kinds[name], campaign.good / name
    if numbers == (_PREPARATION,):
        connection.send(_prepared(kind, good))
        return
    _limit_memory(campaign.bounds.memory)
    for number in numbers:
        connection.send(run_trial(kind, number, campaign.seed, good, campaign.folder(name, number)))


def _prepared(kind: Kind, good: Path) -> Outcome | None:
    """Make the good input of a kind; the outcome if that fails."""
    good.mkdir(parents=True)
    try:
        with surroundings(good):
            kind.prepare(good)
    except Exception as error:
        return Outcome(kind.name, _PREPARATION, "neither", "the good input could not be made", last_line(error))
    return None


def _limit_memory(more: int) -> None:
    """Let this process allocate so many bytes more. Not its address space is bounded: torch maps gigabytes of libraries."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmData:")]
        limit = int(line.split()[1]) * 1024 + more
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
