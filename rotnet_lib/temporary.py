"""Temporary folders that outlive no process for long: what a killed one leaves, the next one removes."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import explaining, is_locked, lock_file

_PREFIX = "rotnet-"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")

_SECONDS_TO_END = 5.0
"""What a killed process may take to end."""

_OWNER = "owner"
"""A file in the folder that its process holds locked. A process id would say less: it is given to another process one day,
and means nothing to a process in another container that shares the folder of temporary files."""


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, which is removed when the block ends. First, folders that killed processes left are removed.

    What this process has started with the folder in its command line is killed at the end: a kernel that is still starting
    would make the folder again.

    Raises StorageError if the system refuses to make it.
    """
    remove_left_folders(parent)
    with explaining(parent):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with lock_file(path / f".{_OWNER}"):
            # Locked before it has its name: nobody sees an owner's file that is not locked while its process lives.
            (path / f".{_OWNER}").rename(path / _OWNER)
            yield path
    finally:
        users = [process for process in psutil.Process().children(recursive=True) if _names(process, path)]
        for process in users:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(users, timeout=_SECONDS_TO_END)
        _remove(path)


def remove_left_folders(parent: Path) -> None:
    """Remove the folders that killed processes left in `parent`; see `temporary_folder`."""
    try:
        folders = [Path(entry.path) for entry in os.scandir(parent) if _NAME.fullmatch(entry.name) and _is_own(entry)]
    except OSError:  # others may not list the folder, say: then nothing there is known to be left
        return
    for folder in folders:
        if _is_left(folder):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, the owner's file last: if this process is killed meanwhile, the next one finds it and goes on."""
    with suppress(OSError):  # another process that starts now may remove it too
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _OWNER:
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _is_own(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder of this process's user."""
    return entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.geteuid()


def _names(process: psutil.Process, folder: Path) -> bool:
    """Whether a process has a folder in its command line, as a kernel has that of its connection file."""
    try:
        return any(word.startswith(f"{folder}/") for word in process.cmdline())
    except psutil.Error:  # it has ended since, or is another user's
        return False


def _is_left(folder: Path) -> bool:
    """Whether the process that made a folder has ended, and those that it has started for it.

    Not if that cannot be told, as where there is no owner's file.
    """
    owner = folder / _OWNER
    try:
        return owner.exists() and not is_locked(owner) and not any(_names(process, folder) for process in psutil.process_iter())
    except (OSError, RotnetError):
        return False
