"""A classifier's scores of the test images, by class: written to a file, read, and their average precision."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, replacing

SCORES = "scores.csv"
"""In a run's directory."""

_TIE = 1e-5

Curve = tuple[np.ndarray, np.ndarray]
"""Recall and precision, both (n,) in [0, 1], recall falling from 1 to 0."""


@dataclass(frozen=True)
class Scores:
    """Scores of N images for C classes; a higher score means that the class is more likely present.

    Attributes:
        images: (N) ids.
        classes: (C) names.
        values: number of crops that the scores are averaged over -> (N, C) float32.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    values: Mapping[int, np.ndarray]

    def write(self, path: Path) -> None:
        """Write a CSV file atomically: `image`, `crops`, then a column for each class. Nine digits keep a float32 exactly."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "crops", *self.classes])
            for crops, values in self.values.items():
                for image, row in zip(self.images, values.tolist(), strict=True):
                    table.writerow([image, crops, *(f"{value:.9g}" for value in row)])


def read_scores(path: Path, images: Sequence[str], classes: Sequence[str]) -> Scores:
    """The scores that `Scores.write` wrote for these images and classes.

    Raises RotnetError, with file and line, if the file is missing or has other classes, a wrong row, a score that is not
    finite, or an image that is missing, unknown or repeated.
    """
    try:
        text = read_text(path, _AGAIN)
    except FileNotFoundError:
        raise RotnetError(f"{path} is missing: the run has not predicted yet. Run it again.") from None
    places = {image: place for place, image in enumerate(images)}
    values: dict[int, np.ndarray] = {}
    rows = _rows(path, text)
    _, header = next(rows, (1, []))
    if header != ["image", "crops", *classes]:
        raise _wrong(path, 1, f"the columns should be image, crops, {', '.join(classes)}")
    for line, row in rows:
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
            raise _wrong(path, line, f"image {image} occurs there twice with {crops} crops")
        block[places[image]] = found
    for crops, block in values.items():
        missing = [image for image, row in zip(images, block, strict=True) if np.isnan(row[0])]
        if missing:
            raise RotnetError(
                f"{path}: {len(missing)} images lack their scores of {crops} crops, the first {missing[0]}. {_AGAIN}"
            )
    return Scores(tuple(images), tuple(classes), values)


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV table and their lines. Raises RotnetError for what is none, such as a cell of a megabyte."""
    table = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in table:
            yield table.line_num, row
    except csv.Error as error:
        raise _wrong(path, table.line_num, str(error)) from None


_AGAIN = "Delete the run's directory and run it again."


def _wrong(path: Path, line: int, what: str) -> RotnetError:
    return RotnetError(f"{path}, line {line}: {what}. {_AGAIN}")


def average_precision(present: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision of one class, in percent: the mean over positive images of the precision at their rank.

    Computed as in philkr/voc-classification, with scikit-learn. Images with difficult objects of the class only do not count.
    Ties count against the classifier: the scores of positives are lowered by 0.00001, which also reorders smaller gaps. It is
    the area under the steps of the precision-recall curve, not the 11-point mean of the VOC 2007 devkit.

    Args:
        present: (N,) 1 present, 0 absent, -1 difficult objects only (`VocSplit.present`).
        scores: (N,).

    Returns:
        None if no image is positive.
    """
    truth, lowered = _lower_positives(present, scores)
    return 100 * float(average_precision_score(truth, lowered)) if truth.any() else None


def chance_precision(present: np.ndarray) -> float | None:
    """The average precision of one class that is expected of a random order of the images, in percent.

    A positive image is equally likely at each of the n ranks, and each image before it is one of the other m - 1 positives with
    probability (m - 1) / (n - 1). It is above the share of positives, m / n, by less the more images there are.

    Args:
        present: as `average_precision`.

    Returns:
        None if no image is positive.
    """
    counted = present[present >= 0]
    images, positives = len(counted), int(counted.sum())
    if not positives:
        return None
    ranks = np.arange(1, images + 1)
    return 100 * float(np.mean((1 + (ranks - 1) * (positives - 1) / max(images - 1, 1)) / ranks))


def curve(present: np.ndarray, scores: np.ndarray) -> Curve:
    """The precision-recall curve of one class with at least one positive image; arguments as `average_precision`."""
    precision, recall, _ = precision_recall_curve(*_lower_positives(present, scores))
    return recall, precision


def _lower_positives(present: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 labels and (n,) float64 scores of the images that count, the positives' scores lowered by `_TIE`."""
    counted = present >= 0
    truth = present[counted].astype(np.int64)
    return truth, scores[counted].astype(np.float64) - _TIE * truth
