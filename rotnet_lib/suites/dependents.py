"""Runs in a folder that cannot be removed or renamed for themselves: others build on them, or a process writes them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import LockTimeout, lock_file
from rotnet_lib.runs.ancestors import UPSTREAM
from rotnet_lib.runs.directory import LOCK, NOTEBOOK_LOCK, RunDirectory


def parameters_of(run: RunDirectory) -> dict[str, Any]:
    """A run's parameters; none of one whose file is damaged: it names no others."""
    try:
        return run.parameters()
    except RotnetError:
        return {}


def upstream(parameters: Mapping[str, Any]) -> Iterator[str]:
    """The names of the runs that a run builds on; of a path, the names of its last two parts (a run's file, or its folder)."""
    for key in UPSTREAM:
        value = parameters.get(key)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                yield from Path(name).parts[-2:]


def with_upstream(names: set[str], parameters: Mapping[str, Mapping[str, Any]], renamed: Mapping[str, str]) -> set[str]:
    """Runs and all that they build on, as far as they are in the folder.

    Args:
        names: of the runs.
        parameters: of the runs in the folder, by name.
        renamed: names of before -> those of now (`names_now`). Who says the one means the other too.
    """
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += upstream(parameters.get(name, {}))
            waiting += [renamed[name]] if name in renamed else []
    return reached


def in_use(runs: Iterable[RunDirectory]) -> dict[str, str]:
    """The names of the runs that are left alone, since a process is writing them or nobody can tell; each with a sentence."""
    busy = {}
    for run in runs:
        try:
            why = "it is being written" if run.running else ""
        except RotnetError as error:
            why = str(error)
        if why:
            busy[run.name] = f"{run.path} is left alone: {why.rstrip('.')}."
    return busy


def no_suite_at_work(root: Path) -> TextIO:
    """The lock of a folder of runs. Raises RotnetError if a suite holds it."""
    return _locked(root / LOCK, f"{root} is in use by a suite: wait for it to end, or stop it.")


@contextmanager
def nobody_writing(directory: Path) -> Iterator[None]:
    """Hold the locks of a run. Raises RotnetError if another process does."""
    with ExitStack() as stack:
        for name in (NOTEBOOK_LOCK, LOCK) if (directory / NOTEBOOK_LOCK).exists() else (LOCK,):
            stack.enter_context(_locked(directory / name, f"{directory} is being written: left alone."))
        yield


def _locked(path: Path, otherwise: str) -> TextIO:
    try:
        return lock_file(path, wait_seconds=0)
    except LockTimeout:
        raise RotnetError(otherwise) from None
