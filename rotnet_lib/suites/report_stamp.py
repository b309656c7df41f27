"""Whether the page of a suite still shows what there is: drawing it starts a kernel, which takes seconds."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rotnet_lib
from rotnet_lib.files import write_text
from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.runs.directory import HISTORY, METRICS, PLAN, REPORT
from rotnet_lib.suites.plan import CollectionPlan, Plan

_STAMP = ".report-stamp"
"""In the directory of a suite: the stamp of what its page was drawn from. Written after the page."""


def is_drawn(plan: Plan | CollectionPlan) -> bool:
    """Whether the page is there and was drawn from the plan on disk, the runs as they are now, by the code as it is now."""
    stamp = plan.directory / _STAMP
    return (plan.directory / REPORT).exists() and stamp.exists() and stamp.read_text() == _stamp_of(plan)


@contextmanager
def drawing(plan: Plan | CollectionPlan) -> Iterator[None]:
    """Around the drawing of the page: keeps what it was drawn from, if no error comes out of the block."""
    stamp = plan.directory / _STAMP
    stamp.unlink(missing_ok=True)
    yield
    write_text(stamp, _stamp_of(plan))


def _stamp_of(plan: Plan | CollectionPlan) -> str:
    """A hash of the plan, of every run's state, result and history, and of the code."""
    digest = hashlib.sha256((plan.directory / PLAN).read_bytes())
    for run in plan.runs:
        digest.update(f"{run.name} {run.directory.state}\n".encode())
        _add(digest, (path for name in (METRICS, HISTORY) if (path := run.directory.path / name).exists()))
    package = Path(rotnet_lib.__file__).parent
    # All of the package, since what a report shows is computed in many of its files.
    _add(digest, (path for path in sorted(package.rglob("*")) if path.is_file() and path.suffix != ".pyc"))
    _add(digest, sorted(NOTEBOOKS.glob("*.ipynb")))
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", paths: Iterable[Path]) -> None:
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
