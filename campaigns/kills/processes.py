"""The processes of a making: found by a mark in their environment, which all they start inherits, whoever their parent is."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import psutil

Role = Literal["make", "rotnet", "Snakemake", "job", "kernel"]
ROLES: tuple[Role, ...] = get_args(Role)

MARK = "ROTNET_CAMPAIGN"
"""Environment variable that says which making a process belongs to. Other processes of the machine are never touched."""

_POLL_SECONDS = 0.1


def marked(mark: str) -> list[psutil.Process]:
    """The running processes of a making; those that only wait to be reaped are not among them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended since, or is another user's
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def role_of(process: psutil.Process) -> Role | None:
    """What a process does in a making; None for what has no part of its own, such as a shell."""
    try:
        return role_in(process.cmdline())
    except psutil.Error:
        return None


def role_in(words: list[str]) -> Role | None:
    """The role of a process with these command-line words."""
    if "ipykernel_launcher" in words:
        return "kernel"
    if "execute" in words and "rotnet_lib.cli" in words:
        return "job"
    if "snakemake" in words:
        return "Snakemake"
    if "reproduce" in words and any(Path(word).name == "rotnet" for word in words):
        return "rotnet"
    return "make" if words and Path(words[0]).name in ("make", "gmake") else None


def described(process: psutil.Process) -> str:
    """A process for the record: its id, role or name, and how it was started."""
    try:
        return f"{process.pid} {role_of(process) or process.name()} ({' '.join(process.cmdline())[:150]})"
    except psutil.Error:
        return f"{process.pid}"


def wait_for(condition: Callable[[], bool], seconds: float) -> float | None:
    """How many seconds it took until a condition held; None if it does not after so many."""
    begin = time.monotonic()
    while True:
        holds, passed = condition(), time.monotonic() - begin
        if holds:
            return passed
        if passed > seconds:
            return None
        time.sleep(_POLL_SECONDS)


def end(mark: str) -> None:
    """Kill what is left of a making."""
    while processes := marked(mark):
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(_POLL_SECONDS)
