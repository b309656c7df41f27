"""The lock of a folder of runs: one suite at a time makes runs there, and who waits is told which, and how far it is."""

import os
import time
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, Field, ValidationError

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import LockTimeout, lock_file, sign_lock
from rotnet_lib.paths import shown_path
from rotnet_lib.runs.directory import LOCK, PLAN, RunDirectory
from rotnet_lib.runs.plan_file import PlannedEntry, read_plan
from rotnet_lib.suites.plan import CollectionPlan, Plan
from rotnet_lib.training.trained_share import trained_share

_PRINTED = r"^[^\x00-\x1f\x7f]{1,255}$"


class AtWork(BaseModel):
    """What the lock file says of the suite at work in a folder of runs.

    Attributes:
        name: of the suite or the collection.
        preset: its preset.
        directory: the name of its directory in the folder, where its plan is.
        since: when it took the lock, in seconds since 1970 (UTC).
        process: the id of the process that holds the lock.
    """

    name: str = Field(pattern=_PRINTED)
    preset: str = Field(pattern=_PRINTED)
    directory: str = Field(pattern=r"^[^/.][^/]*$")
    since: float = Field(ge=0, le=1e11)
    process: int


def one_at_a_time(root: Path, plan: Plan | CollectionPlan) -> TextIO:
    """Lock a folder of runs for a suite, until the returned file is closed.

    If another process holds the lock: say for which suite, since when and how far it is, and wait for it.
    """

    def tell(owner: str) -> None:
        print(
            f"{shown_path(root)} is in use by {said_of_owner(root, owner)}. Waiting for it to end (Ctrl-C gives up).",
            flush=True,
        )

    return _signed(lock_file(root / LOCK, on_wait=tell), plan)


def if_nobody_is(root: Path, plan: Plan | CollectionPlan) -> TextIO | None:
    """As `one_at_a_time`, without waiting: None if another process holds the lock."""
    try:
        return _signed(lock_file(root / LOCK, wait_seconds=0), plan)
    except LockTimeout:
        return None


def _signed(lock: TextIO, plan: Plan | CollectionPlan) -> TextIO:
    name = plan.collection.name if isinstance(plan, CollectionPlan) else plan.suite.name
    own = AtWork(name=name, preset=plan.preset, directory=plan.directory.name, since=time.time(), process=os.getpid())
    sign_lock(lock, own.model_dump_json())
    return lock


def said_of_owner(root: Path, content: str) -> str:
    """Who holds the lock of a folder of runs, for a person: `table3 (preset quick), at work since 13:19:44 (5 minutes ago) ...`

    Args:
        root: the folder of runs.
        content: of the lock file: of a suite, `AtWork` as JSON; of another command, its process id. It may be anything.
    """
    try:
        owner = AtWork.model_validate_json(content)
    except ValidationError:
        return f"process {content}" if content.isascii() and content.isdecimal() else "(unknown)"
    try:
        runs = read_plan(root / owner.directory / PLAN).runs
        far = f"{sum(RunDirectory(root / run.name).finished for run in runs)} of its {len(runs)} runs finished"
        far = ", ".join([far, *(trained for run in runs if (trained := _trained(run, RunDirectory(root / run.name))))])
    except RotnetError:
        far = "its progress is unknown (its plan cannot be read)"
    return f"{owner.name} (preset {owner.preset}), at work since {_moment(owner.since)}, {far}; process {owner.process}"


def _trained(run: PlannedEntry, directory: RunDirectory) -> str:
    """`supervised 38% trained` of a run that is being trained; empty of another."""
    length = run.parameters.get("epochs", run.parameters.get("iterations"))
    if not isinstance(length, int) or directory.state != "running":
        return ""
    share = trained_share(directory, length)
    return "" if share is None else f"{run.key} {share:.0%} trained"


def _moment(since: float) -> str:
    """`13:19:44 (5 minutes ago)`, in this machine's time; with the date if that is another day's."""
    now, then = time.localtime(), time.localtime(since)
    clock = time.strftime("%H:%M:%S" if now[:3] == then[:3] else "%Y-%m-%d %H:%M:%S", then)
    seconds = max(0, round(time.time() - since))  # another machine's clock may be ahead
    if seconds < 120:
        return f"{clock} ({seconds} seconds ago)"
    return f"{clock} ({seconds // 60} minutes ago)" if seconds < 7200 else f"{clock} ({seconds / 3600:.1f} hours ago)"
