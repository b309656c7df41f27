"""Files from anywhere, opened: what is no file is refused, since reading from a FIFO would wait for ever."""

import errno
import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFDIR: "folder",
}


def kind_of(mode: int) -> str | None:
    """What a path with this `st_mode` leads to: `FIFO`, `socket`, `device`, `folder`; None: a file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "special file")


def check_file(path: str | os.PathLike[str]) -> None:
    """Raises OSError, naming the path, if it leads to no file: to nothing, a folder, a FIFO, a socket or a device."""
    kind = kind_of(os.stat(path).st_mode)
    if kind:
        raise OSError(errno.EINVAL, f"it is a {kind}, not a file", shown(path))


def read_file(path: Path) -> bytes:
    """A file's content. Raises OSError as `check_file` does."""
    check_file(path)
    return path.read_bytes()


def read_text(path: Path) -> str:
    """A text in UTF-8, with or without the mark that Windows editors put in front.

    Raises OSError as `check_file` does, and UnicodeDecodeError.
    """
    return read_file(path).decode("utf-8-sig")


def shown(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can be printed and written in UTF-8: a byte that is none is shown as `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
