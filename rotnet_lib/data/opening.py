"""Files of data from anywhere, opened: each guard is here once, for all lists, annotations and archives.

What is not there, is no file, cannot be read, is larger than such a file ever is, or is no text, is a RotnetError that names
it. So no reader waits for a named pipe, fills the memory, or passes on what is no text.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import check_is_file, kind_of


def read_file(path: str | os.PathLike[str], expected: str, most: int) -> bytes:
    """A file's content.

    Args:
        path: of the file.
        expected: the error's last sentences: what the file should be, and what to do.
        most: bytes that it may have.

    Raises RotnetError if there is nothing, if it is no file, if it cannot be read, if it is larger, or grows meanwhile.
    """
    here = Path(path)
    try:
        check_is_file(here, expected)
        with here.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise RotnetError(f"{shown(path)} has {size} bytes, and may have {most} at most. {expected}")
            content = file.read(size + 1)
    except OSError as error:
        raise RotnetError(f"cannot read {shown(path)}: {error.strerror}. {expected}") from None
    if len(content) > size:
        raise RotnetError(f"cannot read {shown(path)}: it grows while it is read. {expected}")
    return content


def read_lines(path: str | os.PathLike[str], expected: str, most: int) -> Iterator[tuple[int, str]]:
    """The lines of a text in UTF-8, without the spaces about them, and their numbers from 1; blank ones are left out.

    The mark that Windows editors put in front is no part of the text, and lines may end as on Windows or old Macs.

    Raises RotnetError as `read_file`, and naming the line of what is no UTF-8 or no printable character.
    """
    content = read_file(path, expected, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = content[: error.start].count(b"\n") + 1
        raise RotnetError(f"{shown(path)}, line {where} is no text in UTF-8. {expected}") from None
    # Not str.splitlines, which takes rarer characters for ends of lines than editors do, so that numbers would be others.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if odd := control_character(line.replace("\t", " ")):
            raise RotnetError(f"{shown(path)}, line {number} holds the control character {odd}. {expected}")
        if line.strip():
            yield number, line.strip()


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder, or a link to one. Raises RotnetError where nobody may look."""
    found = _status(path, os.stat)
    return found is not None and kind_of(found.st_mode) == "folder"


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything, be it a link that leads nowhere. Raises RotnetError where nobody may look."""
    return _status(path, os.lstat) is not None


def _status(path: str | os.PathLike[str], ask: Callable[[str | os.PathLike[str]], os.stat_result]) -> os.stat_result | None:
    try:
        return ask(path)
    except PermissionError as error:
        raise RotnetError(f"cannot look for {shown(path)}: {error.strerror}. Allow reading in the folders above it.") from None
    except OSError:
        return None


def scan(folder: str | os.PathLike[str]) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """What lies in a folder, as `os.scandir`. Raises RotnetError if it cannot be listed."""
    try:
        return os.scandir(folder)
    except OSError as error:
        raise RotnetError(
            f"cannot list the folder {shown(folder)}: {error.strerror}. Allow reading in it, or take it away."
        ) from None


def names_in(folder: str | os.PathLike[str]) -> list[str]:
    """The names of what lies in a folder, sorted. Raises RotnetError if it cannot be listed."""
    with scan(folder) as entries:
        return sorted(entry.name for entry in entries)


def control_character(text: str) -> str | None:
    r"""The first character that ends a line or steers a terminal, as `'\n'`; None: there is none, and tables can show it."""
    if text.isprintable():
        return None
    return next((ascii(character) for character in text if unicodedata.category(character) in ("Cc", "Zl", "Zp")), None)


def shown(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can be printed and written in UTF-8, on one line: what cannot be shown is written as `\xff`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if control_character(text) is None:
        return text
    return "".join(ascii(character)[1:-1] if control_character(character) else character for character in text)
