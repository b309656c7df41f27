"""Who may judge which training images: RotNets that each left out a part of them, or one that answers for all."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.folds import Fold
from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.paths import from_project
from rotnet_lib.pretext.pu import CHOICE, choice_of, differences
from rotnet_lib.runs.config import ImagesConfig
from rotnet_lib.runs.directory import MODEL, PARAMETERS, RunDirectory, RunResult, all_runs, checkpoint_of
from rotnet_lib.stages.pretrain import PretrainConfig


@dataclass(frozen=True)
class Judge:
    """A RotNet's weights, and the places (n,) int64, ascending, of the training images that it answers for."""

    weights: Path
    places: np.ndarray


def other_folds(run: RunDirectory) -> tuple[Path, ...] | None:
    """The finished runs, beside a run, that are the same training with the other folds; None if it has no fold.

    Raises RotnetError if one is missing, with the line that makes it.
    """
    made = run.parameters()
    if not made.get("fold"):
        return None
    found: dict[str | None, Path] = {}
    for other in all_runs(run.path.parent):
        try:
            parameters = other.parameters() if other.finished else {}
        except RotnetError as error:
            print(f"passed over: {error}")
            continue
        if _training(parameters) == _training(made):
            found.setdefault(parameters["fold"], other.path)  # the newest comes first
    fold = Fold.parse(made["fold"])
    missing = [str(other) for other in fold.others if str(other) not in found]
    if missing:
        lines = "; ".join(f"`{_line(made | {'fold': other})}`" for other in missing)
        raise RotnetError(
            f"backbone: run {run.name} left out fold {fold}, and beside it there is no finished run of the same training that "
            f"left out fold {', '.join(missing)}. An image is judged by a network that has not seen it, so make that: {lines}"
        )
    return tuple(found[str(other)] for other in fold.others)


def check_others(others: Sequence[str], runs: str) -> None:
    """Raises RotnetError for the first of these runs, names or paths, that is not there."""
    for name in others:
        if not (checkpoint_of(name, runs).parent / PARAMETERS).exists():
            made = (run.name for run in all_runs(from_project(runs)) if (run.path / MODEL).exists())
            raise unknown("run in others", name, made)


def judges_of(weights: Sequence[Path], config: ImagesConfig, data: Dataset) -> tuple[tuple[Judge, ...], str]:
    """The networks to ask, their places together all training images, and a sentence on whether they had seen them.

    Args:
        weights: files in the directories of RotNets' runs, the backbone's first. One of a run without a fold stands alone.
        config: which images.
        data: those images.

    Raises:
        RotnetError: the runs do not leave out each fold of one training once; or folds of other images than these; or one is
            not finished.
    """
    runs = [RunDirectory(path.parent) for path in weights]
    made = [run.parameters() for run in runs]
    if not made[0].get("fold"):
        if len(runs) > 1:
            raise RotnetError(
                f"others: the backbone's run {runs[0].name} left no fold out, so it answers for all images alone. Leave others "
                "out, or name a run with a fold for the backbone."
            )
        return (Judge(weights[0], np.arange(len(data.train))),), _alone(runs[0], config, data)
    for run, parameters in zip(runs, made, strict=True):
        ours, theirs = _training(made[0]), _training(parameters)
        if differ := [name for name in ours | theirs if ours.get(name) != theirs.get(name)]:
            raise RotnetError(
                f"others: run {run.name} is not the same training as the backbone's, {runs[0].name}: they differ in "
                f"{', '.join(differ)}. Leave others out to have the right ones found."
            )
    folds = [str(parameters.get("fold")) for parameters in made]
    first = Fold.parse(folds[0])
    if sorted(folds) != (needed := sorted(map(str, (first, *first.others)))):
        raise RotnetError(
            f"others: the backbone and the others left out the folds {', '.join(folds)}; it takes one run for each of "
            f"{', '.join(needed)}. Leave others out to have the right ones found."
        )
    results = [run.result() for run in runs]
    _check_images(results[0], choice_of(config, data))
    judges = []
    for path, run, result, text in zip(weights, runs, results, folds, strict=True):
        fold, seen = Fold.parse(text), result.data
        if (seen.fingerprint, seen.train_images) != (data.fingerprint, len(fold.without(len(data.train)))):
            raise RotnetError(f"the data ({config.dataset}) has changed since run {run.name} left out a fold. Train it again.")
        judges.append(Judge(path, fold.within(len(data.train))))
    return tuple(judges), (
        f"{len(judges)} RotNets judged the images, each those that it was trained without ({len(judges)} folds, drawn at "
        "random): p is out of sample."
    )


def _check_images(trained: RunResult, choice: Mapping[str, Any]) -> None:
    """Raises RotnetError unless a run's images, before its fold was left out, were those of a choice (see `choice_of`)."""
    seen = {"image_size": trained.data.image_size, "fingerprint": trained.data.fingerprint}
    if differ := differences({name: trained.parameters.get(name) for name in CHOICE} | seen, choice):
        raise RotnetError(
            f"backbone: its run left out a fold of other images ({'; '.join(differ)}). Leave those parameters out; images of "
            "another set may be judged by a RotNet that was trained without a fold."
        )


def _alone(run: RunDirectory, config: ImagesConfig, data: Dataset) -> str:
    """Whether the one RotNet that answers for all images had seen them."""
    made = run.parameters()
    same = made["dataset"] == config.dataset or (run.finished and run.result().data.fingerprint == data.fingerprint)
    if not same:
        return f"One RotNet judged all images, and was trained on others ({made['dataset']}): p is out of sample."
    whole = made.get("labels_per_class") is None and made["train_size"] == config.train_size
    return (
        f"One RotNet judged all images, and was trained on {'them' if whole else 'images of the same set'}: p is in sample. Of "
        "images that it had not seen it would find more copies plausible. RotNets with fold 1/2 and 2/2 judge out of sample."
    )


def _training(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a pretrain run's training was, but for its fold and where it ran."""
    fields = PretrainConfig.model_fields
    execution = {name for name in fields if PretrainConfig.role(name) == "execution"}
    return {name: value for name, value in parameters.items() if name not in execution | {"fold"}}


def _line(made: Mapping[str, Any]) -> str:
    """The line that makes a pretrain run of these parameters."""
    usual = PretrainConfig.build({name: made[name] for name in ("arch", "task")}).model_dump(mode="json")
    own = _training(made) | {"runs": made["runs"], "fold": made["fold"]}
    usual |= {name: PretrainConfig.model_fields[name].default for name in ("arch", "task")}
    words = ["rotnet", "run", "pretrain"]
    for name, value in own.items():
        if value != usual.get(name):
            words += ["-p", name, value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)
