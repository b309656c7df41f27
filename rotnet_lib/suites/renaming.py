"""Another name for a finished run: its directory written anew, so that a process may be killed at any moment."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import explaining, write_text
from rotnet_lib.runs.directory import METRICS, NOTEBOOK, PARAMETERS, REPORT, RESUME, RunDirectory
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.suites.dependents import nobody_writing
from rotnet_lib.temporary import temporary_folder

_LEFT_OUT = (".*", NOTEBOOK, REPORT, RESUME)
"""Locks, temporary files, what a finished run does not need; and what shows the name of before, which is drawn again."""

_OF_THE_NAME: dict[str, Any] = dict.fromkeys(
    ("run", "parameters", "renamed_from", "later", "execution", "unverified", "checksum"), True
) | {"data": {"fingerprint"}}
"""What is another in a result under another name. The rest, such as when the run was finished, tells runs apart."""


@dataclass(frozen=True)
class Renaming:
    """A run that gets another name.

    Attributes:
        name: its name so far.
        before: its result, under that name.
        after: its result under the other name, in `run`.
        copied: whether it has that already, since a process was killed before it removed the directory of before.
    """

    name: str
    before: RunResult
    after: RunResult
    copied: bool = False


def same_but_for_names(one: RunResult, other: RunResult) -> bool:
    """Whether two results are of one run under two names, not of one that was made twice."""
    return one.model_dump(exclude=_OF_THE_NAME) == other.model_dump(exclude=_OF_THE_NAME)


def rename(root: Path, renaming: Renaming) -> None:
    """Give a run in the folder `root` its other name.

    The directory of that name is complete when it appears, and that of before is whole until it disappears. Between the two
    both are there, and the new one says of which it is a copy (`RunResult.renamed_from`). The copy is made in a temporary
    folder beside them, in which the directory of before ends.

    Raises RotnetError if the run or its copy has changed since, is being written or is damaged, or the other name is taken.
    """
    run, target = RunDirectory(root / renaming.name), root / renaming.after.run
    with nobody_writing(run.path), explaining(run.path), temporary_folder(root) as folder:
        if run.result() != renaming.before:
            raise RotnetError(f"{run.path} has changed meanwhile. Call this again.")
        if renaming.copied:
            if RunDirectory(target).result() != renaming.after:
                raise RotnetError(f"{target} has changed meanwhile. Call this again.")
        else:
            copy = _copy(run, folder, renaming)
            check_free(target, renaming.name)
            copy.rename(target)
        run.path.rename(folder / renaming.name)


def check_free(path: Path, name: str) -> None:
    """Raises RotnetError if a run's directory, or anything, is already where the run of that name would get."""
    if not os.path.lexists(path):
        return
    state = RunDirectory(path).state
    if state == "missing":
        raise RotnetError(f"{path.name} cannot be its name: a folder of that name is there already. Delete it or move it away.")
    again = "made" if state == "finished" else "begun"
    raise RotnetError(
        f"{path.name} is there already ({state}), since the run was {again} again. {keep_one(earlier=name, later=path.name)}"
    )


def keep_one(earlier: str, later: str) -> str:
    """What to do about two runs that want one name."""
    return (
        f"Delete {later} to keep the earlier run and all that builds on it, or {earlier} to keep the later one "
        "and what builds on that."
    )


def _copy(run: RunDirectory, folder: Path, renaming: Renaming) -> Path:
    from rotnet_lib.training.checkpoints import copy_renamed  # imports torch

    before, after = renaming.before, renaming.after
    copy = folder / after.run
    shutil.copytree(run.path, copy, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT), copy_function=_second_name)
    for path in sorted(copy.rglob("*.safetensors")):
        original = run.path / path.relative_to(copy)
        copy_renamed(original, path, after.run, {before.data.fingerprint: after.data.fingerprint})
    write_text(copy / PARAMETERS, yaml.safe_dump(after.parameters, sort_keys=False))
    write_text(copy / METRICS, after.model_dump_json(indent=1))
    for name in (PARAMETERS, METRICS):  # `newest` goes by their age
        shutil.copystat(run.path / name, copy / name)
    RunDirectory(copy).result()  # as whoever asks for the run will read it
    return copy


def _second_name(path: str, target: str) -> None:
    """Make a hard link, since no file of a finished run is written in place; a copy where there can be none."""
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, target, follow_symlinks=False)
