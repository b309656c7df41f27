"""Files from before files carried a checksum: they are used, and what used them names them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_noted: ContextVar[dict[str, None] | None] = ContextVar("_noted", default=None)


@contextmanager
def noting() -> Iterator[None]:
    """Collect the files that are read unverified in this block; `noted` names them. Blocks inside it count for themselves."""
    token = _noted.set({})
    try:
        yield
    finally:
        _noted.reset(token)


def note(file: str) -> None:
    """Say that a file without a checksum is used: print it, or in a block of `noting` leave it to the block's owner.

    Args:
        file: see `called`.
    """
    found = _noted.get()
    if found is None:
        print(sentence([file]))
    else:
        found[file] = None


def noted() -> list[str]:
    """The files noted so far in the block of `noting`, each once; none outside such a block."""
    return list(_noted.get() or ())


def called(path: Path) -> str:
    """How a file is named to the user: with its folder, which is its run's name where it is a run's file."""
    return f"{path.parent.name}/{path.name}"


def sentence(files: Iterable[str]) -> str:
    """`unverified: A was written before files carried a checksum.`"""
    names = list(files)
    return f"unverified: {', '.join(names)} {'was' if len(names) == 1 else 'were'} written before files carried a checksum."
