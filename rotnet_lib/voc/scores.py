"""What a classifier says of each test image: a score a class, kept in a file, and worth an average precision a class."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import replacing

SCORES = "scores.csv"
"""In a run's directory."""

_TIE = 1e-5

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision, both (n,) in [0, 1], recall falling from 1 to 0."""


@dataclass(frozen=True)
class Scores:
    """Scores of N images for C classes, higher for present.

    Attributes:
        images: (N) ids.
        classes: (C) names.
        values: how many crops of an image a score is the mean of -> (N, C) float32.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    values: Mapping[int, np.ndarray]

    def write(self, path: Path) -> None:
        """As CSV, atomically: `image`, `crops`, then a column a class; nine digits, which give a float32 back exactly."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "crops", *self.classes])
            for crops, values in self.values.items():
                for image, row in zip(self.images, values.tolist(), strict=True):
                    table.writerow([image, crops, *(f"{value:.9g}" for value in row)])


def read_scores(path: Path, images: Sequence[str], classes: Sequence[str]) -> Scores:
    """The scores that `Scores.write` wrote for these images and classes.

    Raises RotnetError naming file and line: missing, other classes, a wrong row, a score that is not finite, or an image that
    is missing, unknown or there twice.
    """
    if not path.exists():
        raise RotnetError(f"{path} is missing: the run has not predicted yet. Run it again.")
    places = {image: place for place, image in enumerate(images)}
    values: dict[int, np.ndarray] = {}
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.reader(file)
        header = next(table, [])
        if header != ["image", "crops", *classes]:
            raise _wrong(path, 1, f"the columns should be image, crops, {', '.join(classes)}")
        for row in table:
            line = table.line_num
            try:
                image, crops, found = row[0], int(row[1]), [float(value) for value in row[2:]]
            except (IndexError, ValueError) as error:
                raise _wrong(path, line, str(error)) from None
            if len(found) != len(classes) or not all(map(math.isfinite, found)):
                raise _wrong(path, line, f"{len(classes)} finite scores expected")
            if image not in places:
                raise _wrong(path, line, f"no test image is called {image}")
            block = values.setdefault(crops, np.full((len(places), len(classes)), np.nan, np.float32))
            if not np.isnan(block[places[image], 0]):
                raise _wrong(path, line, f"image {image} stands there twice with {crops} crops")
            block[places[image]] = found
    for crops, block in values.items():
        missing = [image for image, row in zip(images, block, strict=True) if np.isnan(row[0])]
        if missing:
            raise RotnetError(
                f"{path}: {len(missing)} images lack their scores of {crops} crops, the first {missing[0]}. {_AGAIN}"
            )
    return Scores(tuple(images), tuple(classes), values)


_AGAIN = "Delete the run's directory and run it again."


def _wrong(path: Path, line: int, what: str) -> RotnetError:
    return RotnetError(f"{path}, line {line}: {what}. {_AGAIN}")


def average_precision(present: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision of one class, in percent: the mean over present images of the precision at their rank.

    As philkr/voc-classification judges, with scikit-learn: images with only difficult objects of the class do not count, and
    ties go against the classifier, positives being moved down by 0.00001 (which a gap smaller than that does not survive).
    It is the area under the steps of the precision-recall curve, not the 11-point mean of the VOC 2007 devkit.

    Args:
        present: (N,) 1 present, 0 not, -1 only difficult ones (`VocSplit.present`).
        scores: (N,).

    Returns:
        None if no image that counts shows the class: there is nothing to find.
    """
    truth, judged = _judged(present, scores)
    return 100 * float(average_precision_score(truth, judged)) if truth.any() else None


def curve(present: np.ndarray, scores: np.ndarray) -> Curve:
    """Precision against recall of one class that some image shows; arguments as `average_precision`."""
    precision, recall, _ = precision_recall_curve(*_judged(present, scores))
    return recall, precision


def _judged(present: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counted = present >= 0
    truth = present[counted].astype(np.int64)
    return truth, scores[counted].astype(np.float64) - _TIE * truth
