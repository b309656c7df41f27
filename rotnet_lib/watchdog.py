"""Watchdogs: a process ends when the one that it works for has ended, and ends in order when it is told to."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

_INTERVAL = 0.5
"""Seconds between two checks."""

_SECONDS_TO_END = 13
"""Within this time a process that was told to end has ended, or it is killed."""

INTERRUPT = signal.SIGUSR1
"""Asks a process under `interrupted_once` for what Ctrl-C asks for. SIGINT will not do: a script starts what it puts into the
background with SIGINT ignored."""


def end_with_parent(parent: int, *, ask: int | None = None, patience: float = 0.0) -> None:
    """End this process, and with it its kernel, soon after its parent has ended.

    A killed Snakemake leaves its jobs running, and they would go on writing beside those of the next one. ipykernel
    watches its own parent in the same way.

    Args:
        parent: the parent's process id.
        ask: see `end_when`.
        patience: see `end_when`.
    """
    end_when(lambda: os.getppid() != parent, ask=ask, patience=patience)


def end_with_make(make: int) -> None:
    """End this process as SIGTERM does, soon after `make`, its parent, has ended or was told to.

    make passes SIGTERM on to its commands, but not a SIGHUP that comes from `kill`: it resets its handler and waits for them.
    On Linux, /proc shows that it has no handler any more, and this process then ends too.

    Args:
        make: its process id.
    """
    handled = _handles(make, signal.SIGHUP)
    end_when(
        lambda: os.getppid() != make or (handled and not _handles(make, signal.SIGHUP)),
        ask=signal.SIGTERM,
        patience=_SECONDS_TO_END,
    )


def end_when(gone: Callable[[], bool], *, ask: int | None = None, patience: float = 0.0) -> None:
    """Kill this process soon after `gone` returns True. A thread calls it, at once and then twice a second.

    Args:
        gone: whether to end.
        ask: a signal to send to this process first; None: kill it at once.
        patience: seconds that the process then has to end by itself.
    """

    def watch() -> None:
        while not gone():
            time.sleep(_INTERVAL)
        if ask is not None:
            os.kill(os.getpid(), ask)
            time.sleep(patience)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def ended_in_order() -> Iterator[None]:
    """In this block SIGTERM and SIGHUP raise SystemExit, so that what the block has started is ended, as after Ctrl-C.

    The exit code is the conventional one, 128 and the signal's number. Signals after the first are ignored; a process that has
    not ended after `_SECONDS_TO_END` is killed. A signal that is ignored from the start, as under `nohup`, stays ignored.
    """
    process = os.getpid()
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL if os.getpid() != process else signal.SIG_IGN)
        if os.getpid() != process:  # a forked one, which has nothing to end
            os.kill(os.getpid(), number)
            return
        signal.alarm(_SECONDS_TO_END)  # SIGALRM kills, whatever this process may wait for
        raise SystemExit(128 + number)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def interrupted_once(*, with_children: bool) -> None:
    """From now on SIGINT, SIGTERM, SIGHUP and `INTERRUPT` raise KeyboardInterrupt, the first of them alone.

    A second one, which somebody else may send, would break off what the first has begun. What is ignored stays ignored, but for
    `INTERRUPT`. A process that has not ended `_SECONDS_TO_END` after SIGTERM or SIGHUP is killed.

    Args:
        with_children: whether at SIGTERM and SIGHUP the processes that this one has started are told to end too. Ctrl-C reaches
            them from the terminal; whoever sends `INTERRUPT` tells them.
    """
    told = (signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in (signal.SIGINT, *told) if signal.getsignal(number) != signal.SIG_IGN]
    numbers.append(INTERRUPT)

    def interrupt(number: int, frame: Any) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        if number in told:
            signal.alarm(_SECONDS_TO_END)
            for child in psutil.Process().children() if with_children else ():
                with suppress(psutil.NoSuchProcess):
                    child.terminate()
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


def process_token(pid: int) -> str:
    """The id and start time of a running process, `4711:1795380000.25`; a later process of the same id has another token."""
    return f"{pid}:{psutil.Process(pid).create_time()}"


def is_alive(token: str) -> bool:
    """Whether the process of that `process_token` still runs. A zombie, which only waits to be reaped, does not."""
    pid, _, started = token.partition(":")
    try:
        process = psutil.Process(int(pid))
        return process.create_time() == float(started) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; False where the system does not say, or there is no such process."""
    try:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
