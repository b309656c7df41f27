"""Watchdogs: a process ends when the one that it works for has ended."""

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

_INTERVAL = 0.5
"""Seconds between two checks."""


def end_with_parent(parent: int) -> None:
    """End this process, and with it its kernel, soon after its parent has ended.

    A killed Snakemake leaves its jobs running, and they would go on writing beside those of the next one. ipykernel
    watches its own parent in the same way.

    Args:
        parent: the parent's process id.
    """
    end_when(lambda: os.getppid() != parent)


def end_when(gone: Callable[[], bool]) -> None:
    """Kill this process soon after `gone` returns True. A thread calls it, at once and then twice a second."""

    def watch() -> None:
        while not gone():
            time.sleep(_INTERVAL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


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
