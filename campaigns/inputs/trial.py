"""A trial: a good input is changed and read by the library. What comes of it is right, a named error, or neither."""

import os
import random
import shutil
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from campaigns.record import printable
from rotnet_lib.errors import RotnetError
from rotnet_lib.seeds import derive

End = Literal["right", "named", "neither"]
"""How a trial ends."""

_NOTE = "what.txt"
"""In a trial's folder: what was changed, and what came of it."""

_NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses connections: no trial downloads anything."""


@dataclass(frozen=True)
class Input:
    """What the library is given in a trial.

    Attributes:
        folder: of the trial, a copy of the good input's, in which something was changed.
        good: folder of the good input.
        what: what was changed.
        culprits: of these an error must name one.
        value: the input itself, where it is no file.
    """

    folder: Path
    good: Path
    what: str = "nothing was changed"
    culprits: tuple[str, ...] = ()
    value: Any = None


class Kind(ABC):
    """A kind of input. Its number 0 is the good input, unchanged; it must come out right.

    Attributes:
        name: one word.
        right: what a right result is: what `problem` checks.
    """

    name: ClassVar[str]
    right: ClassVar[str]

    def prepare(self, folder: Path) -> None:  # noqa: B027  # what is no file needs no preparation
        """Make the good input in an empty folder."""

    def unchanged(self, folder: Path, good: Path) -> Input:
        """The good input."""
        return Input(folder, good)

    @abstractmethod
    def change(self, folder: Path, good: Path, rng: random.Random) -> Input:
        """Change the copy of the good input in `folder`, as `rng` decides and nothing else."""

    @abstractmethod
    def read(self, given: Input) -> Any:
        """What the library makes of it. The working directory is the trial's folder."""

    @abstractmethod
    def problem(self, given: Input, found: Any) -> str | None:
        """Why the result is not right, judged without the code that read it; None if it is."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        kind, number: which input it was; with the seed they say what it is.
        end: see `End`.
        what: what was changed.
        reason: the error's message, the last line of a traceback, or why the result is not right; empty if it is.
        seconds: how long it took.
    """

    kind: str
    number: int
    end: End
    what: str = ""
    reason: str = ""
    seconds: float = 0.0


def run_trial(kind: Kind, number: int, seed: int, good: Path, folder: Path) -> Outcome:
    """Make input `number` of a kind in `folder` and let the library read it.

    Args:
        kind: of the input.
        number: of the input; 0 is the good one.
        seed: of the campaign.
        good: folder of the good input, made by `Kind.prepare`.
        folder: of the trial. It stays if the outcome is neither.
    """
    begin = time.perf_counter()
    if folder.exists():  # of a first try, which was cut off
        shutil.rmtree(folder)
    shutil.copytree(good, folder, symlinks=True)
    rng = random.Random(derive(seed, "inputs", kind.name, number))
    given = Input(folder, good)
    with surroundings(folder):
        try:
            given = kind.change(folder, good, rng) if number else kind.unchanged(folder, good)
            note(folder, given.what)
            end, reason = _judged(kind, given)
        except (
            Exception
        ) as error:  # of this kind's own code: the trial says nothing of the library, and must not be passed over
            note(folder, f"{given.what}\n{traceback.format_exc()}")
            end, reason = "neither", f"the campaign itself failed: {last_line(error)}"
    if end != "neither":
        shutil.rmtree(folder)
    return Outcome(kind.name, number, end, given.what, reason, time.perf_counter() - begin)


def note(folder: Path, text: str) -> None:
    """Say in a trial's folder what is tried there."""
    (folder / _NOTE).write_text(printable(text), encoding="utf-8")


def noted(folder: Path) -> str:
    """What `note` has written last; nothing if it has not."""
    path = folder / _NOTE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def last_line(error: BaseException) -> str:
    """Of an error's traceback, that says what it is."""
    return " ".join("".join(traceback.format_exception_only(error)).split())


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """The working directory, the data and the cache are the folder's, and there is no network. Only for processes of trials."""
    before = Path.cwd()
    os.environ |= {"ROTNET_DATA": str(folder / "data"), "ROTNET_CACHE": str(folder / "cache")}
    os.environ |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _judged(kind: Kind, given: Input) -> tuple[End, str]:
    try:
        found = kind.read(given)
    except RotnetError as error:
        return _named(error, given.culprits)
    except BaseException as error:  # whatever it is, no user can put it right
        note(given.folder, f"{given.what}\n{traceback.format_exc()}")
        return "neither", last_line(error)
    problem = kind.problem(given, found)
    return ("neither", f"wrong: {problem}") if problem else ("right", "")


def _named(error: RotnetError, culprits: tuple[str, ...]) -> tuple[End, str]:
    message = str(error)
    if not message.strip():
        return "neither", "a RotnetError without a message"
    if not any(culprit.encode("utf-8", "backslashreplace").decode() in message for culprit in culprits):
        return "neither", f"names none of {', '.join(culprits)}: {message}"
    if _lacked_memory(error):
        return "neither", f"ran out of memory, and says: {message}"
    return "named", message


def _lacked_memory(error: BaseException | None) -> bool:
    """Whether a MemoryError is behind an error."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False
