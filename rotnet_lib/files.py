"""Files and folders that are complete or absent, and locks between processes."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

from rotnet_lib.errors import RotnetError, StorageError

_POLL_SECONDS = 0.2
"""Between two tries to take a lock that is waited for with a time limit."""
_PROBE_SECONDS = 0.05
"""By then a process that only asked whether a lock is held has let it go."""

_LONGEST_OWNER = 2**12
"""Bytes that are read of a lock file."""

_FULL = "Free some space there"
_LONG = "Shorten it"
_DENIED = "Allow reading and writing there"
_IN_THE_WAY = "Remove or rename the file that stands where a folder is needed"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EROFS: _DENIED,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "Remove or rename the folder that stands where a file is needed",
    errno.ENAMETOOLONG: _LONG,
    errno.EIO: "Look at the disk or the network drive, which reports a fault",
    errno.ESTALE: "Look at the network drive, which has gone away",
    errno.ELOOP: "Remove the symbolic link that leads to itself",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    **dict.fromkeys((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP), "Have its file system mounted with file locks (flock)"),
}
"""What the system may refuse for reasons outside the program -> what the user does about it.

A missing file is not among them: what this package reads without looking first is a mistake of its own.
"""

_ELSEWHERE = (
    "or keep runs in another folder (RUNS=... of make, --runs or -p runs of rotnet) and data in another one "
    "(ROTNET_DATA, ROTNET_CACHE)."
)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Where the system refuses what is done to `path` in this block, raise a StorageError that says why, and the remedy.

    All other errors pass as they are, so that a bug keeps its traceback.
    """
    try:
        yield
    except StorageError:
        raise  # it has been explained
    except Exception as error:
        if (refusal := storage_error(error, path)) is None:
            raise
        raise refusal from error


def storage_error(error: Exception, path: Path | None = None) -> StorageError | None:
    """The error to show a user whose disk is full, read-only and so on; None if `error` is of another kind.

    Args:
        error: as raised.
        path: what was to be written; None: not known.
    """
    if isinstance(error, StorageError):
        return error
    number = _system_number(error)
    if number not in _REMEDIES:
        return None
    named = getattr(error, "filename", None)
    temporary = path and isinstance(named, str) and Path(named).parent == path.parent  # which nobody knows by its name
    where = path if temporary else named or path or "a file"
    verb = "write" if path else "read or write"
    return StorageError(f"cannot {verb} {where}: {os.strerror(number)}. {_REMEDIES[number]}, {_ELSEWHERE}")


def _system_number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # safetensors writes files itself, and has an error of its own that quotes the system's.
    quoted = re.search(r"os error (\d+)", str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(quoted[1]) if quoted else None


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there. Raises StorageError if the system refuses."""
    with explaining(path):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, atomically, when the block ends without an error.

    A reader sees the old file or the new one. If the process is killed half way, the old one stays.
    Raises StorageError if the system refuses to write it (see `explaining`).
    """
    make_folder(path.parent)
    with explaining(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes the file private; a shared runs folder needs the usual permissions.
            temporary.chmod(0o666 & ~_umask())
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


_LEFT = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}(?P<suffix>\.[^.]+)?")


def temporary_of(name: str) -> str | None:
    """The name of the file that a file of this name is a temporary one of; None if it is none.

    Temporary files are those of `replacing`, and of a NamedTemporaryFile whose prefix is of that form.
    """
    found = _LEFT.fullmatch(name)
    return found["name"] if found else None


def remove_left_files(folder: Path, of: Callable[[str], bool]) -> None:
    """Remove the temporary files that killed processes left in a folder and the folders in it.

    Args:
        folder: where to look.
        of: told the name of a file, whether its temporary files may go. No other process may write these files meanwhile.
    """
    for path in sorted(folder.rglob(".*")):
        name = temporary_of(path.name)
        if name and of(name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def read_bytes(path: Path, remedy: str) -> bytes:
    """The content of a file that a user can damage, replace or delete.

    Args:
        path: the file.
        remedy: the last sentence of the error.

    Raises:
        FileNotFoundError: there is nothing under that path.
        RotnetError: it is no file (opening a named pipe would wait for ever), or it cannot be read.
    """
    try:
        check_is_file(path, remedy)
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except NotADirectoryError:  # a file lies where one of its folders should be: there is nothing under that path either
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except OSError as error:
        raise RotnetError(f"cannot read {path}: {error.strerror}. {remedy}") from None


def read_text(path: Path, remedy: str) -> str:
    """As `read_bytes`, of a text file in UTF-8. Raises RotnetError if it holds anything else."""
    try:
        return read_bytes(path, remedy).decode()
    except UnicodeDecodeError as error:
        raise RotnetError(f"{path} is damaged: it is no text in UTF-8 (byte {error.start}). {remedy}") from None


def check_is_file(path: Path, remedy: str) -> None:
    """Raises RotnetError if something else than a file is under that path. OSError if there is nothing, or no access."""
    if kind := kind_of(path.stat().st_mode):
        raise RotnetError(f"{path} is no file but a {kind}. {remedy}")


_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def kind_of(mode: int) -> str | None:
    """What a path with this `st_mode` leads to: `folder`, `named pipe`, `socket`, `device`; None: a file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "special file")


def file_checksum(path: Path) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make `folder` if it does not exist: `write` fills a temporary folder beside it, which is then renamed.

    Of several processes one writes and the others wait. A process killed half way leaves only the temporary folder, which
    the next one removes. Raises StorageError if the system refuses to write it (see `explaining`).
    """
    if folder.is_dir():
        return
    with explaining(folder), lock_file(folder.with_name(f".{folder.name}.lock"), on_wait=waiting_for(str(folder))):
        if folder.is_dir():  # made while this process waited
            return
        for left in folder.parent.glob(f".{folder.name}.tmp-*"):
            shutil.rmtree(left)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.tmp-", dir=folder.parent))
        try:
            # mkdtemp makes the folder private; a shared data folder needs the usual permissions.
            temporary.chmod(0o777 & ~_umask())
            write(temporary)
            temporary.replace(folder)
        except BaseException:
            shutil.rmtree(temporary)
            raise


class LockTimeout(Exception):
    """Another process still holds a lock after the time limit. `owner` is its process id, or "" if the file does not say."""

    def __init__(self, content: str) -> None:
        self.owner = content if content.isascii() and content.isdecimal() else ""
        super().__init__(f"held by process {self.owner or 'unknown'}")


def lock_file(path: Path, *, wait_seconds: float | None = None, on_wait: Callable[[str], None] = lambda owner: None) -> TextIO:
    """Lock a file, made if it is missing, and write this process's id into it.

    The lock is held until the returned file is closed, here and in child processes that inherit its descriptor. The system
    releases it however the processes end, so a killed one leaves no lock behind. Where the file is removed by the process that
    holds it (`rotnet clean` removes the folders of runs), who waited for it makes the folder and the file again.

    Args:
        path: the lock file.
        wait_seconds: give up after so many seconds; None: wait without limit.
        on_wait: called once, before waiting, with what is in a file that another process has locked: see `sign_lock`.

    Returns:
        The open file. Use it in a `with` statement, or close it to release the lock.

    Raises:
        LockTimeout: another process still holds the lock after `wait_seconds`.
        RotnetError: something else than a file is under that path.
        StorageError: the system refuses to write the file (see `explaining`).
    """
    deadline = None if wait_seconds is None else time.monotonic() + wait_seconds
    told = False
    while True:
        make_folder(path.parent)
        with explaining(path):
            lock = _open_lock(path, "a+")
            try:
                if not (_try_lock(lock) or _try_again(lock)):
                    if not told:
                        on_wait(_owner(lock))
                        told = True
                    _wait_for_lock(lock, deadline)
                if is_file_of(lock, path):
                    sign_lock(lock, str(os.getpid()))
                    return lock
            except BaseException:
                lock.close()
                raise
            lock.close()  # the file was removed while this process waited: who comes next locks another one


def is_file_of(lock: TextIO, path: Path) -> bool:
    """Whether an open lock file is the one under its path, where another process looks for it; not if it was removed."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def lock_problem(path: Path) -> str | None:
    """Why no lock file can be under that path, and the remedy; None if one can, or is."""
    remedy = "Remove it: the lock file goes there, which tells other processes that somebody is at work."
    try:
        check_is_file(path, remedy)
    except RotnetError as error:
        return str(error)
    except OSError:
        if path.is_symlink():  # opening it would make a file elsewhere, or fail without a name
            return f"{path} is a link that leads nowhere. {remedy}"
    return None


def waiting_for(what: str) -> Callable[[str], None]:
    """An `on_wait` of `lock_file` that tells the user that another process makes `what`."""
    return lambda owner: print(f"another process makes {what}: waiting for it.", flush=True)


def sign_lock(lock: TextIO, owner: str) -> None:
    """Write who holds a lock, for those that wait for it: by default its process id."""
    lock.truncate(0)
    lock.write(owner)
    lock.flush()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock file `path`. Does not make or change the file, which may be on a read-only disk.

    Raises RotnetError if something else than a file is there (see `lock_problem`).
    """
    try:
        with _open_lock(path, "r") as lock:
            # Shared, so that two processes that ask at once do not take each other for the one that holds it.
            return not _try_lock(lock, fcntl.LOCK_SH)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _open_lock(path: Path, mode: Literal["a+", "r"]) -> TextIO:
    """Open a lock file. Raises RotnetError for what is none: opening a named pipe would wait for ever."""
    if problem := lock_problem(path):
        raise RotnetError(problem)
    return path.open(mode)


def _try_lock(lock: TextIO, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_again(lock: TextIO) -> bool:
    """A second try, a moment later: `is_locked` holds a lock for as long as it takes to ask."""
    time.sleep(_PROBE_SECONDS)
    return _try_lock(lock)


def _wait_for_lock(lock: TextIO, deadline: float | None) -> None:
    if deadline is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            raise LockTimeout(_owner(lock))
        time.sleep(_POLL_SECONDS)


def _owner(lock: TextIO) -> str:
    return os.pread(lock.fileno(), _LONGEST_OWNER, 0).decode(errors="replace").strip()


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
