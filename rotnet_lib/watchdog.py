"""Processes that end with those they work for."""

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

_INTERVAL = 0.5
"""Seconds between two looks."""


def end_with_parent(parent: int) -> None:
    """End this process, and with it the kernel, soon after its parent, the process of that id, is gone.

    A killed Snakemake leaves its jobs running, and they would go on writing beside those of the next one. ipykernel
    watches its own parent in the same way.
    """
    end_when(lambda: os.getppid() != parent)


def end_when(gone: Callable[[], bool]) -> None:
    """Kill this process soon after `gone` has come to say so. Asks in a thread, and once now."""

    def watch() -> None:
        while not gone():
            time.sleep(_INTERVAL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def usable_cores() -> int:
    """Cores that this process may run on: of a cluster's node those of its job."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def identity(pid: int) -> str:
    """A process that runs now, as a word that no later process of the same id has: `4711:1795380000.25`."""
    return f"{pid}:{psutil.Process(pid).create_time()}"


def is_alive(identity: str) -> bool:
    """Whether the process of that `identity` still runs; one that only waits to be reaped does not."""
    pid, _, started = identity.partition(":")
    try:
        process = psutil.Process(int(pid))
        return process.create_time() == float(started) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
