"""Pretrain runs of one training with different folds: finds them, checks them, or names the commands that make them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rotnet_lib.data.folds import Fold
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.paths import from_project
from rotnet_lib.runs.directory import MODEL, PARAMETERS, RunDirectory, all_runs, checkpoint_of, finished_runs
from rotnet_lib.stages.pretrain import PretrainConfig


def other_folds(run: RunDirectory) -> tuple[Path, ...] | None:
    """The finished runs in the same folder that are the same training with the other folds; None if the run has no fold.

    Raises RotnetError if one is missing, with the command that makes it.
    """
    parameters = run.parameters()
    if not parameters.get("fold"):
        return None
    by_fold: dict[str | None, Path] = {}
    for other in finished_runs(run.path.parent):
        others = other.parameters()
        if _training(others) == _training(parameters):
            by_fold.setdefault(others["fold"], other.path)  # the newest comes first
    fold = Fold.parse(parameters["fold"])
    missing = [str(other) for other in fold.others if str(other) not in by_fold]
    if missing:
        commands = "; ".join(f"`{_command(parameters | {'fold': other})}`" for other in missing)
        raise RotnetError(
            f"backbone: run {run.name} left out fold {fold}, and beside it there is no finished run of the same training that "
            f"left out fold {', '.join(missing)}. Each image is scored by a network that has not seen it, so make that: "
            f"{commands}"
        )
    return tuple(by_fold[str(other)] for other in fold.others)


def check_others(others: Sequence[str], runs: str) -> None:
    """Raises RotnetError for the first of these runs, names or paths, that does not exist."""
    for name in others:
        if not (checkpoint_of(name, runs).parent / PARAMETERS).exists():
            existing = (run.name for run in all_runs(from_project(runs)) if (run.path / MODEL).exists())
            raise unknown("run in others", name, existing)


def check_same_training(runs: Sequence[RunDirectory]) -> None:
    """Raises RotnetError unless the runs are the same training but for their fold.

    If the first run left out no fold there is nothing to check: it scores all images alone.
    """
    first = runs[0].parameters()
    if not first.get("fold"):
        return
    for run in runs:
        ours, theirs = _training(first), _training(run.parameters())
        if differ := [name for name in ours | theirs if ours.get(name) != theirs.get(name)]:
            raise RotnetError(
                f"others: run {run.name} is not the same training as the backbone's, {runs[0].name}: they differ in "
                f"{', '.join(differ)}. Leave others out to have the right ones found."
            )


def _training(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that decide what a pretrain run computes, without its fold and those that are not set.

    Left out too are later parameters with the value that all earlier runs had.
    """
    fields = PretrainConfig.model_fields
    left_out = {name for name in fields if PretrainConfig.role(name) == "execution"} | {"fold"}
    left_out |= {name for name in fields if PretrainConfig.is_as_before(name, parameters.get(name))}
    return {name: value for name, value in parameters.items() if value is not None and name not in left_out}


def _command(parameters: Mapping[str, Any]) -> str:
    """The command line that makes a pretrain run with these parameters. It names those that are not the defaults."""
    defaults = PretrainConfig.build({name: parameters[name] for name in ("arch", "task")}).model_dump(mode="json")
    defaults |= {name: PretrainConfig.model_fields[name].default for name in ("arch", "task")}
    words = ["rotnet", "run", "pretrain", "--preset", "none"]
    for name, value in (_training(parameters) | {name: parameters[name] for name in ("runs", "fold")}).items():
        if value != defaults.get(name):
            words += ["-p", name, value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)
