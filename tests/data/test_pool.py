"""Work in processes: in order, not far ahead, and nobody left behind."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from rotnet_lib.data.pool import Slots, in_workers, worker_count
from rotnet_lib.errors import RotnetError


def double(number: int) -> int:
    time.sleep(0.01 * (number % 3))  # so that they do not finish in order
    return 2 * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def wait(number: int) -> int:
    if number:
        time.sleep(3)
    return number


def die_later(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return number


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    before = children()
    assert list(in_workers(double, range(20), workers)) == list(range(0, 40, 2))
    assert children() == before


def refuse(number: int) -> int:
    if number == 3:
        raise RotnetError("a.xml, line 2: no number")
    return number


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_for_the_user_comes_as_it_was_raised(workers: int) -> None:
    before = children()
    results = in_workers(refuse, range(9), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RotnetError) as caught:
        next(results)
    assert str(caught.value) == "a.xml, line 2: no number"
    assert children() == before


def test_tasks_are_taken_as_the_work_goes_on() -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = in_workers(double, tasks(), 2)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert len(taken) <= 5 + 2 * 2
    results.close()


@pytest.mark.parametrize("end", ["closed", "dropped", "interrupted"])
def test_stopping_early_leaves_no_process(end: str) -> None:
    before = children()
    results = in_workers(double, itertools.count(), 2)
    next(results)
    assert len(children() - before) == 2
    if end == "closed":
        results.close()
    elif end == "dropped":
        del results
    else:
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt)
    assert children() == before


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A process that a shell started in the background ignores Ctrl-C, and so do the tests in it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_while_a_result_is_waited_for_leaves_no_process() -> None:
    """Even while its traceback is kept, as a notebook keeps the last one."""
    before = children()
    results = in_workers(wait, itertools.count(), 2)
    assert next(results) == 0
    assert len(children() - before) == 2
    threading.Timer(0.3, signal.pthread_kill, [threading.get_ident(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt) as kept:
        next(results)
    assert children() == before
    assert any("torch" in str(entry.path) for entry in kept.traceback)


@pytest.mark.slow
def test_the_error_of_a_killed_process_ends_the_others() -> None:
    before = children()
    results = in_workers(die_later, range(8), 2)
    with pytest.raises(RotnetError) as kept:
        list(results)
    assert children() == before
    assert kept.value.__context__ is not None


def test_processes_fill_slots_that_are_used_again() -> None:
    slots = Slots(2, 3, 4)

    def fill(task: tuple[int, int]) -> int:
        slots.memory[task[1]] = task[0]
        return task[1]

    def tasks() -> Iterator[tuple[int, int]]:
        for number in range(30):
            slot = slots.take()
            assert slot is not None
            taken.append(slot)
            yield number, slot

    taken: list[int] = []
    for number, slot in enumerate(in_workers(fill, tasks(), 2)):
        rows = slots.give(slot, 2)
        assert rows.tolist() == [[number] * 4] * 2
    assert len(set(taken)) <= 2 * 2 + 3


def test_a_slot_is_free_when_nothing_refers_to_it() -> None:
    slots = Slots(0, 2)
    numbers = [slots.take() for _ in range(4)]
    assert sorted(numbers[:3]) == [0, 1, 2]  # type: ignore[type-var]
    assert numbers[3] is None  # all are being written to
    whole = slots.give(1, 2)
    assert slots.take() is None
    view = whole[None].permute(1, 0)
    del whole
    assert slots.take() is None
    del view
    assert slots.take() == 1


@pytest.mark.slow
def test_a_process_that_is_killed_is_an_error_that_helps() -> None:
    before = children()
    with pytest.raises(RotnetError, match=r"was killed .*fewer than 2 workers, or 0"):
        list(in_workers(die, range(4), 2))
    assert children() == before


def test_an_error_of_the_work_is_not_taken_for_a_killed_process() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_workers(lambda number: 1 // number, [1, 0], 1))


def test_one_process_a_core_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    assert worker_count(None) == 12
    assert worker_count(0) == 0
    assert worker_count(5) == 5
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "5")
    assert worker_count(None) == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "50")
    assert worker_count(None) == 1
