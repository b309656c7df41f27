"""Where things are, seen from wherever the process was started."""

import os
from pathlib import Path

from rotnet_lib.errors import RotnetError, shown

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
"""The notebooks, beside the package in its checkout."""

LONGEST_NAME = 255
"""Bytes of a file's name, on all usual file systems."""

_LONGEST_PATH = 4095
"""Bytes of a path that the system takes (Linux; macOS takes fewer)."""


def from_project(path: str | Path) -> Path:
    """A path as given if absolute, else below the working directory.

    JupyterLab starts a notebook's kernel in the notebook's own folder; from there, relative paths count from the
    checkout, so that the same parameters mean the same folders as under papermill.

    Raises RotnetError for what cannot be a path: an empty text (a variable that is not set: it would be the working folder), a
    name that is too long, a home of nobody, a character that no name may hold.
    """
    given = _checked(path)
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise RotnetError("the folder that this command was started in has been deleted: change to another one.") from None
    return (here.parent if here == NOTEBOOKS else here) / given


def shown_path(path: Path) -> str:
    """A path as it is shown where many stand below each other: from the working folder if it lies in there, else as it is."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):
        return str(path)


def short_name(start: str, end: str) -> str:
    """`start` followed by `end`, a name of at most `LONGEST_NAME` bytes: `start` is cut where that would be longer."""
    room = LONGEST_NAME - len(os.fsencode(end))
    if len(os.fsencode(start)) > room:
        start = os.fsencode(start)[:room].decode("utf-8", "ignore").rstrip("-")
    return start + end


def _checked(path: str | Path) -> Path:
    if not isinstance(path, str | Path):
        raise RotnetError(f"{shown(path)} is no path: a path is text.")
    if path == "":
        raise RotnetError("'' is no path: it is empty. The folder that this command was started in is called '.'.")
    try:
        found = Path(path).expanduser()
        encoded = os.fsencode(found)
    except RuntimeError:  # ~nosuchuser
        raise RotnetError(
            f"{shown(str(path))}: there is no such home folder. To mean a file called so, write ./{path}."
        ) from None
    except UnicodeEncodeError:
        raise RotnetError(f"{shown(str(path))} is no path: it holds a character that no file name can have.") from None
    if b"\0" in encoded:
        raise RotnetError(f"{shown(str(path))} is no path: it holds a null character.")
    if len(encoded) > _LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_NAME for part in found.parts):
        raise RotnetError(
            f"{shown(str(path))} is too long for a path: a name has at most {LONGEST_NAME} bytes, a path {_LONGEST_PATH}."
        )
    return found
