"""A folder that is made once for all processes, whole or not at all."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`; a second comer waits, and is told that another process makes `what`.

    The system drops the lock with the process that holds it, however that ends: nothing is left to clean up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process makes {what}: waiting for it.")
            sys.stdout.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make `folder` unless it is there: `write` fills a temporary one beside it, which then takes its name.

    A process killed half way leaves no `folder`, only the temporary one, which the next that makes it removes.
    """
    if folder.is_dir():
        return
    with locked(folder.with_name(f".{folder.name}.lock"), str(folder)):
        if folder.is_dir():  # made while we waited
            return
        for left in folder.parent.glob(f".{folder.name}.tmp-*"):
            shutil.rmtree(left)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.tmp-", dir=folder.parent))
        try:
            # mkdtemp makes the folder private; a shared data folder needs the usual permissions.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            write(temporary)
            temporary.replace(folder)
        except BaseException:
            shutil.rmtree(temporary)
            raise
