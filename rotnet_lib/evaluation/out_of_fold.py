"""Out-of-fold prediction: each training image is scored by a RotNet that was trained without it, or all by one RotNet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.folds import Fold
from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.parts.pu import CHOICE, choice_of, differences
from rotnet_lib.runs.config import ImagesConfig
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import RunResult


@dataclass(frozen=True)
class Scorer:
    """A RotNet and the training images that it scores.

    Attributes:
        weights: the file of its weights.
        places: (n,) int64, ascending, the places of these images in the training split.
    """

    weights: Path
    places: np.ndarray


def out_of_fold_scorers(weights: Sequence[Path], config: ImagesConfig, data: Dataset) -> tuple[tuple[Scorer, ...], str]:
    """Assign each training image to a RotNet: the out-of-fold network of its fold, or the only RotNet there is.

    Args:
        weights: files in the directories of RotNets' runs of one training, the backbone's first. If that run left out no fold,
            it is the only one.
        config: the config that `data` was loaded with.
        data: the images to score.

    Returns:
        The scorers, whose places together are all training images, and a sentence that says whether they were trained on them.

    Raises:
        RotnetError: the runs do not leave out each fold exactly once; they left out folds of other images than these; or one is
            not finished.
    """
    runs = [RunDirectory(path.parent) for path in weights]
    parameters = [run.parameters() for run in runs]
    if not parameters[0].get("fold"):
        if len(runs) > 1:
            raise RotnetError(
                f"others: the backbone's run {runs[0].name} left no fold out, so it answers for all images alone. Leave others "
                "out, or name a run with a fold for the backbone."
            )
        return (Scorer(weights[0], np.arange(len(data.train))),), _note_on_one(runs[0], config, data)
    folds = [str(own.get("fold")) for own in parameters]
    first = Fold.parse(folds[0])
    if sorted(folds) != (needed := sorted(map(str, (first, *first.others)))):
        raise RotnetError(
            f"others: the backbone and the others left out the folds {', '.join(folds)}; it takes one run for each of "
            f"{', '.join(needed)}. Leave others out to have the right ones found."
        )
    results = [run.result() for run in runs]
    _check_images(results[0], choice_of(config.data, data))
    scorers = []
    for path, run, result, text in zip(weights, runs, results, folds, strict=True):
        fold, seen = Fold.parse(text), result.data
        if (seen.fingerprint, seen.train_images) != (data.fingerprint, len(fold.without(len(data.train)))):
            raise RotnetError(f"the data ({config.dataset}) has changed since run {run.name} left out a fold. Train it again.")
        scorers.append(Scorer(path, fold.within(len(data.train))))
    return tuple(scorers), (
        f"{len(scorers)} RotNets scored the images, each those that it was trained without ({len(scorers)} folds, drawn at "
        "random): p is out of sample."
    )


def _check_images(trained: RunResult, choice: Mapping[str, Any]) -> None:
    """Raises RotnetError unless a run's images, with its fold, were those of a choice (see `choice_of`)."""
    seen = {"image_size": trained.data.image_size, "fingerprint": trained.data.fingerprint}
    if differ := differences({name: trained.parameters.get(name) for name in CHOICE} | seen, choice):
        raise RotnetError(
            f"backbone: its run left out a fold of other images ({'; '.join(differ)}). Leave those parameters out; images of "
            "another set may be scored by a RotNet that was trained without a fold."
        )


def _note_on_one(run: RunDirectory, config: ImagesConfig, data: Dataset) -> str:
    """A sentence that says whether the one RotNet that scores all images was trained on them."""
    parameters = run.parameters()
    same = parameters["dataset"] == config.dataset or (run.finished and run.result().data.fingerprint == data.fingerprint)
    if not same:
        return f"One RotNet scored all images. It was trained on others ({parameters['dataset']}), so p is out of sample."
    seen = (parameters.get("labels_per_class"), parameters["train_size"], parameters.get("validate"))
    whole = seen == (None, config.train_size, config.validate)
    return (
        f"One RotNet scored all images. It was trained on {'them' if whole else 'images of the same set'}, so p is in sample: "
        "of images that it had not seen, more copies would look upright. Networks trained without a fold (fold 1/2 and 2/2) "
        "give p out of sample."
    )
