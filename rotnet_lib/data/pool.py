"""Work handed to processes, and its results in order."""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from rotnet_lib.errors import RotnetError
from rotnet_lib.watchdog import usable_cores

T = TypeVar("T")
R = TypeVar("R")


def worker_count(workers: int | None) -> int:
    """How many processes to start: as many as said, or one for each core this process may use.

    Where torchrun started several processes on this machine, they share its cores.
    """
    if workers is not None:
        return workers
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def in_workers(work: Callable[[T], R], tasks: Iterable[T], workers: int, *, pin: bool = False) -> Generator[R, None, None]:
    """The results of `work` on each task, in the order of the tasks, at most two tasks a process ahead.

    Args:
        work: what a process does; forked or pickled into each.
        tasks: small, since they are pickled. Taken one by one as the work goes on.
        workers: processes; 0: this one does the work. They end with the last task, or when the iterator is closed.
        pin: put tensors of the results into pinned memory.

    Raises:
        RotnetError: a process was killed.
    """
    loader: DataLoader[R] = DataLoader(
        _Work(work), batch_size=None, sampler=_Tasks(tasks), num_workers=workers, pin_memory=pin, collate_fn=_as_it_is
    )
    results = iter(loader)
    try:
        while True:
            try:
                result = next(results)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise RotnetError(
                    f"a process that reads images was killed ({error}). Its share of memory, or of /dev/shm, may be too small: "
                    f"take fewer than {workers} workers, or 0 to read without such processes."
                ) from None
            yield result
            del result  # not to be kept while the next one is made
    finally:
        # Dropping the iterator would end the processes too, but not while some traceback still refers to it.
        if workers:
            results._shutdown_workers()  # type: ignore[attr-defined]


class Slots:
    """Shared memory for the batches that worker processes make, used again and again.

    To get new memory for each batch from the system takes a quarter of the time that decoding its images does.

    Args:
        workers: processes.
        shape: of a batch.

    Attributes:
        memory: (slots, *shape) uint8, for the workers to write to.
    """

    def __init__(self, workers: int, *shape: int) -> None:
        # Two for each worker, as far as it works ahead; the batch that is handed out, the one before it, which whoever uses
        # it lets go only when the next is there, and a spare one.
        count = 2 * workers + 3
        storage = torch.UntypedStorage._new_shared(count * int(np.prod(shape)))
        self.memory = torch.empty(0, dtype=torch.uint8).set_(storage, 0, (count, *shape))  # type: ignore[call-overload]
        self._arrays = list(self.memory.numpy())
        self._lent: set[int] = set()

    def take(self) -> int | None:
        """A slot that is not in use; None where all batches are held on to, as in a list of them."""
        for number in range(len(self._arrays)):
            # A tensor made of an array refers to it, and so does every view of that tensor. Two: the list's, the call's.
            if number not in self._lent and sys.getrefcount(self._arrays[number]) == 2:
                self._lent.add(number)
                return number
        return None

    def give(self, number: int, length: int) -> torch.Tensor:
        """The first `length` rows of a slot, which is free again once nothing refers to them."""
        self._lent.discard(number)
        return torch.from_numpy(self._arrays[number])[:length]


class _Work(Dataset[R], Generic[T, R]):
    """A function as torch's DataLoader wants it."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.work = work

    def __getitem__(self, task: T) -> R:
        return self.work(task)


class _Tasks(Sampler[T]):
    """Tasks as torch's DataLoader wants them."""

    def __init__(self, tasks: Iterable[T]) -> None:
        self.tasks = tasks

    def __iter__(self) -> Iterator[T]:
        return iter(self.tasks)


def _as_it_is(result: R) -> R:
    return result
