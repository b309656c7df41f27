"""Decides whether a suite's page must be drawn again, since drawing starts a kernel and takes seconds."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import rotnet_lib
from rotnet_lib.files import write_text
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.report.table_text import TABLE_TEXT
from rotnet_lib.runs.directory import HISTORY, METRICS, PLAN, REPORT, TABLE
from rotnet_lib.suites.plan import CollectionPlan, Plan

_STAMP = ".report-stamp"
"""In the directory of a suite: a hash of what its page was drawn from. Written after the page."""

_CODE = (Path(rotnet_lib.__file__).parent, NOTEBOOKS)
"""The whole library, since what a report shows is computed in many of its files; and the notebooks."""


def is_drawn(plan: Plan | CollectionPlan, code: Sequence[Path] = _CODE) -> bool:
    """Whether the page exists, drawn from the plan on disk and the runs as they are now, by the code as it is now.

    Args:
        plan: of a suite, or of a collection of suites; written.
        code: folders of the code that draws.
    """
    stamp = plan.directory / _STAMP
    written = [REPORT] if isinstance(plan, CollectionPlan) else [REPORT, TABLE, TABLE_TEXT]
    if not all((plan.directory / name).exists() for name in written):
        return False
    return stamp.is_file() and stamp.read_text(errors="replace") == _stamp_of(plan, code)


@contextmanager
def drawing(plan: Plan | CollectionPlan, code: Sequence[Path] = _CODE) -> Iterator[None]:
    """Draw the page in this block: afterwards the stamp is written, unless the block raised an error.

    The stamp is of the state before the block, since a run that finishes during it may be missing on the page.
    """
    stamp = plan.directory / _STAMP
    stamp.unlink(missing_ok=True)
    drawn_from = _stamp_of(plan, code)
    yield
    write_text(stamp, drawn_from)


def _stamp_of(plan: Plan | CollectionPlan, code: Sequence[Path]) -> str:
    """A hash of the plan, of every run's state, result, history and page, and of the code."""
    digest = hashlib.sha256((plan.directory / PLAN).read_bytes())
    for run in plan.runs:
        linked = (run.directory.path / REPORT).exists()
        digest.update(f"{run.name} {run.directory.state} {linked}\n".encode())
        _add(digest, (path for name in (METRICS, HISTORY) if (path := run.directory.path / name).is_file()))
    for folder in code:
        _add(digest, (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts))
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", paths: Iterable[Path]) -> None:
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
