"""Tasks for worker processes, and their results in order."""

import os
import traceback
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from rotnet_lib.cores import usable_cores
from rotnet_lib.errors import RotnetError

T = TypeVar("T")
R = TypeVar("R")


def worker_count(workers: int | None) -> int:
    """Number of worker processes: the given one, or one for each core that this process may use.

    If torchrun started several processes on this machine, they share its cores.
    """
    if workers is not None:
        return workers
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def in_workers(work: Callable[[T], R], tasks: Iterable[T], workers: int, *, pin: bool = False) -> Generator[R, None, None]:
    """The results of `work` on each task, in the order of the tasks. A process works at most two tasks ahead.

    Args:
        work: called with each task in a worker process, into which it is forked or pickled.
        tasks: small, since they are pickled. They are taken one by one, two for each process ahead of the results.
        workers: number of processes; 0: this process does the work. They end after the last task, or when the iterator is
            closed or deleted.
        pin: put tensors of the results into pinned memory.

    Raises:
        RotnetError: as `work` raised it, without the traceback that torch adds in a process; or a worker process was killed.
    """
    loader: DataLoader[R | _Refused] = DataLoader(
        _Work(work), batch_size=None, sampler=_Tasks(tasks), num_workers=workers, pin_memory=pin, collate_fn=_as_it_is
    )
    results = iter(loader)
    try:
        while True:
            try:
                result = next(results)
            except StopIteration:
                return
            except BaseException as error:
                if workers:
                    # torch's frames in the traceback refer to the iterator, which would keep its processes alive.
                    traceback.clear_frames(error.__traceback__)
                if not isinstance(error, RuntimeError) or "DataLoader worker" not in str(error):
                    raise
                raise RotnetError(
                    f"a process that reads images was killed ({error}). Its share of memory, or of /dev/shm, may be too small: "
                    f"take fewer than {workers} workers, or 0 to read without such processes."
                ) from None
            if isinstance(result, _Refused):
                raise result.error
            yield result
            del result  # frees its memory before the next one is made
    finally:
        del results  # torch ends the processes when their iterator is deleted


class Slots:
    """Shared memory for the batches that worker processes make, used again and again.

    2 workers read 20 % more random crops of 224 pixels a second, and 14 % more resized crops, than with a new tensor for each
    batch (medians of 7 pairs of measurements; docs/results.md, "Reading image files").

    Args:
        workers: number of processes.
        shape: of a batch.

    Attributes:
        memory: (slots, *shape) uint8, for the workers to write to.
    """

    def __init__(self, workers: int, *shape: int) -> None:
        # Two for each worker, which is as far as it works ahead; the batch that is handed out; the one before it, which its
        # user drops only when the next is there; and a spare one.
        count = 2 * workers + 3
        self.memory = torch.empty(count, *shape, dtype=torch.uint8).share_memory_()
        self._free = list(range(count))

    def take(self) -> int | None:
        """A slot that is not in use; None if there is none, as when all batches are kept in a list."""
        return self._free.pop() if self._free else None

    def give(self, number: int, length: int) -> torch.Tensor:
        """The first `length` rows of a slot, which is free again once no tensor of it is left."""
        array = self.memory[number].numpy()
        # The tensor refers to its array, and so does every view of the tensor: they all are gone when the array is.
        weakref.finalize(array, self._free.append, number).atexit = False
        return torch.from_numpy(array)[:length]


@dataclass(frozen=True)
class _Refused:
    """What a worker process hands over in place of a result: raised there, the error's message would be a traceback."""

    error: RotnetError


class _Work(Dataset["R | _Refused"], Generic[T, R]):
    """A function as a dataset: torch's DataLoader looks tasks up in it."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.work = work

    def __getitem__(self, task: T) -> R | _Refused:
        try:
            return self.work(task)
        except RotnetError as error:
            return _Refused(error)


class _Tasks(Sampler[T]):
    """Tasks as a sampler for torch's DataLoader."""

    def __init__(self, tasks: Iterable[T]) -> None:
        self.tasks = tasks

    def __iter__(self) -> Iterator[T]:
        return iter(self.tasks)


def _as_it_is(result: R) -> R:
    return result
