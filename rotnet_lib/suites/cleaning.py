"""What could go from a folder of runs and from the cache: listed by kind, and removed when told (`rotnet clean`)."""

import errno
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rotnet_lib.data.source import cache_root
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import explaining, is_locked, temporary_of
from rotnet_lib.paths import from_project
from rotnet_lib.runs.directory import LOCK, NOTEBOOK_LOCK, PARAMETERS, PLAN, RESUME, all_runs
from rotnet_lib.runs.plan_file import PlanFile, read_plan
from rotnet_lib.runs.renamed import names_now
from rotnet_lib.suites.dependents import in_use, no_suite_at_work, nobody_writing, parameters_of, upstream, with_upstream

KINDS = {
    "checkpoints": "weights on the way of finished runs; figure 5a and `-p checkpoint` read them",
    "resume": "resume states of finished runs, which nothing reads any more",
    "runs": "runs that no suite's plan in this folder names, and no run that is kept builds on: those of `rotnet run` too",
    "leftovers": "temporary files of processes that were killed",
    "cache": "decoded images, which are decoded again when they are needed",
}
"""Kind -> what it is."""

_IN_USE_SECONDS = 3600
"""Age up to which a temporary file may belong to a process that is at work."""

_DECODED = re.compile(r".+-(train|test)-[0-9a-f]{16}\.safetensors")
"""Names of decoded splits in the cache. Smaller copies, drawn scenes and proposals, which take hours, are not among them."""


@dataclass(frozen=True)
class Item:
    """A file, or the folder of a run, that could go.

    Attributes:
        kind: one of `KINDS`.
        path: of it.
        size: in bytes.
    """

    kind: str
    path: Path
    size: int


@dataclass(frozen=True)
class Listing:
    """What could go.

    Attributes:
        items: by kind, then by name.
        notes: what is kept although it looks as if it could go, and why.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...]

    def of(self, kinds: Iterable[str]) -> tuple[Item, ...]:
        """The items of these kinds. One within another is listed once: a run's files go with its folder."""
        chosen = [item for item in self.items if item.kind in set(kinds)]
        folders = {item.path for item in chosen if item.kind == "runs"}
        return tuple(item for item in chosen if item.path.parent not in folders)


def list_removable(runs: str) -> Listing:
    """What could go from a folder of runs and from the cache. Changes nothing.

    A run that a process is writing is left out, and so is what it builds on.

    Args:
        runs: the folder of runs.
    """
    root = from_project(runs)
    found = [run for run in all_runs(root) if not run.path.is_symlink()]
    parameters = {run.name: parameters_of(run) for run in found}
    finished = {run.name: run.result() for run in found if run.finished}
    renamed = names_now(finished.values())
    notes: list[str] = []
    plans, damaged = _plans(root)
    busy = in_use(found)
    notes += busy.values()
    if damaged:
        names = ", ".join(str(path) for path in damaged)
        notes.append(
            f"no runs are listed: {names} cannot be read, so nobody knows which runs it names. Delete it to list them."
        )
        unnamed: set[str] = set()
    else:
        unnamed = parameters.keys() - with_upstream({*_named(plans), *busy}, parameters, renamed)
    items: list[Item] = []
    read = _read_on_the_way(plans, parameters, finished.keys(), renamed)
    for run in found:
        if run.name in busy:
            continue
        if run.name in unnamed:
            items.append(Item("runs", run.path, _size(run.path)))
        if run.name in finished:
            kept = sorted(run.path.glob("model-epoch*.safetensors"))
            if run.name not in read:
                items += [_file("checkpoints", path) for path in kept]
            elif kept:
                notes.append(f"{run.path}: its weights on the way are read by a run that is not finished, so they stay.")
            items += [_file("resume", path) for path in [run.path / RESUME] if path.exists()]
        items += _leftovers(run.path)
    for folder in (root, *(path.parent for path in root.glob(f"*/{PLAN}"))):
        items += _leftovers(folder)
    cache = cache_root()
    if cache.is_dir():
        items += [_file("cache", path) for path in cache.iterdir() if path.is_file() and _DECODED.fullmatch(path.name)]
    order = list(KINDS)
    return Listing(tuple(sorted(items, key=lambda item: (order.index(item.kind), str(item.path)))), tuple(notes))


def remove(items: Iterable[Item], runs: str, say: Callable[[str], None] = print) -> int:
    """Remove items; those that could not be listed any more, or that a process has come to write since, are left and named.

    Args:
        items: see `Listing.of`.
        runs: the folder of runs, which no suite may be at work in meanwhile.
        say: told what was left.

    Returns:
        Bytes that were removed.

    Raises RotnetError if a suite is at work in the folder, or the system refuses.
    """
    root = from_project(runs)
    freed = 0
    # Again: while the user was asked, a plan may have come to name a run, or a process to begin one anew.
    still = {(item.kind, item.path) for item in list_removable(runs).items}
    with ExitStack() as stack:
        if root.is_dir():
            stack.enter_context(no_suite_at_work(root))
        for item in items:
            directory = item.path if item.kind == "runs" else item.path.parent
            with ExitStack() as run:
                try:
                    if (item.kind, item.path) not in still:
                        raise RotnetError(f"{item.path} is in use by now: left alone.")
                    if directory != root and (directory / PARAMETERS).exists():
                        run.enter_context(nobody_writing(directory))
                except RotnetError as error:
                    say(str(error))
                    continue
                with explaining(item.path):
                    if item.kind == "runs":
                        _remove_run(item.path)
                    else:
                        item.path.unlink(missing_ok=True)
            freed += item.size
    return freed


def _remove_run(folder: Path) -> None:
    """Remove the folder of a run whose locks this process holds: the locks last.

    Who waits for them gets them then, and begins anew, perhaps in this folder: it is theirs and stays.
    """
    # Without its parameters it would be listed no more, if this process is killed.
    last = [folder / PARAMETERS, folder / NOTEBOOK_LOCK, folder / LOCK]
    for path in [*(path for path in folder.iterdir() if path not in last), *last]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def report(listing: Listing) -> str:
    """The listing for a person: each item with its size, and totals by kind."""
    lines: list[str] = []
    for kind, what in KINDS.items():
        items = [item for item in listing.items if item.kind == kind]
        lines.append(f"{kind}: {len(items)}, {size_text(sum(item.size for item in items))} ({what})")
        lines += [f"  {size_text(item.size):>9}  {item.path}" for item in items]
    return "\n".join([*lines, *(f"note: {note}" for note in listing.notes)])


def size_text(size: int) -> str:
    """`1.5 GB` of bytes."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} B"


def _plans(root: Path) -> tuple[list[PlanFile], list[Path]]:
    """The plans in a folder of runs, and the files of those that cannot be read."""
    plans, damaged = [], []
    for path in sorted(root.glob(f"*/{PLAN}")):
        try:
            plans.append(read_plan(path))
        except RotnetError:
            damaged.append(path)
    return plans, damaged


def _named(plans: Iterable[PlanFile]) -> Iterator[str]:
    return (run.name for plan in plans for run in plan.runs)


def _read_on_the_way(
    plans: Iterable[PlanFile],
    parameters: Mapping[str, Mapping[str, Any]],
    finished: Set[str],
    renamed: Mapping[str, str],
) -> set[str]:
    """The runs whose weights on the way a run that is not finished asks for, planned or begun."""
    begun = [made for name, made in parameters.items() if name not in finished]
    planned = [run.parameters for plan in plans for run in plan.runs if run.name not in finished | renamed.keys()]
    asking = [made for made in (*begun, *planned) if made.get("checkpoint") is not None]
    read = {name for made in asking for name in upstream(made)}
    return read | {renamed[name] for name in read & renamed.keys()}


def _leftovers(folder: Path) -> list[Item]:
    """Temporary files in a folder that no process is writing; not those of the last hour, since not all writers hold a lock."""
    if not folder.is_dir() or is_locked(folder / LOCK):
        return []
    found = [path for path in folder.iterdir() if path.is_file() and temporary_of(path.name)]
    return [_file("leftovers", path) for path in found if time.time() - path.stat().st_mtime > _IN_USE_SECONDS]


def _file(kind: str, path: Path) -> Item:
    return Item(kind, path, path.lstat().st_size)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
