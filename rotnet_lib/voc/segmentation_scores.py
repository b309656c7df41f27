"""VOC's measures of segmentation: a confusion matrix of pixels, IoU by class, and accuracy."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rotnet_lib.data.voc.split import VOID
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, replacing

BACKGROUND = "background"


def confusion(truth: np.ndarray, prediction: np.ndarray, ids: int) -> np.ndarray:
    """The number of pixels by true id (rows) and predicted id (columns), without those that do not count.

    Args:
        truth: (H, W) uint8: below `ids`, or 255 for pixels that do not count.
        prediction: (H, W) integers below `ids`.

    Returns:
        (ids, ids) int64.
    """
    counts = truth != VOID
    pairs = truth[counts].astype(np.int64) * ids + prediction[counts]
    return np.bincount(pairs, minlength=ids * ids).reshape(ids, ids)


def intersection_over_union(matrix: np.ndarray) -> np.ndarray:
    """TP / (TP + FP + FN) of each id, (ids,) float64 in [0, 1]; nan for an id that neither occurs nor is predicted.

    This is VOC's measure of segmentation: pixels are summed over the whole split before the division.
    """
    right = matrix.diagonal().astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - right
    return np.divide(right, union, out=np.full(len(right), np.nan), where=union > 0)


def pixel_accuracy(matrix: np.ndarray) -> float:
    """The share of correct pixels among those that count, in [0, 1]."""
    return float(matrix.trace() / matrix.sum())


def most_frequent(matrix: np.ndarray) -> int:
    """The id that most of the pixels that count show: VOC's is the background, which other data may be without."""
    return int(matrix.sum(1).argmax())


def all_alike(matrix: np.ndarray) -> np.ndarray:
    """The confusion matrix of the same test pixels if each were taken for the most frequent id, (ids, ids) int64."""
    guessed = np.zeros_like(matrix)
    guessed[:, most_frequent(matrix)] = matrix.sum(1)
    return guessed


def write_confusion(path: Path, matrix: np.ndarray, names: Sequence[str]) -> None:
    """Write the matrix as CSV, atomically: a row for each true id, a column for each predicted id."""
    table = pd.DataFrame(matrix, index=pd.Index(names, name="truth"), columns=list(names))
    with replacing(path) as temporary:
        table.to_csv(temporary)


def read_confusion(path: Path, names: Sequence[str]) -> np.ndarray:
    """What `write_confusion` wrote, (ids, ids) int64. Raises RotnetError if it is missing, damaged or of other classes."""
    try:
        # As text: a class may be called "none", and a missing number must not be read as NaN.
        table = pd.read_csv(io.StringIO(read_text(path, "")), index_col=0, dtype=str, keep_default_na=False)
        matrix = table.to_numpy().astype(np.int64)
        if (matrix < 0).any():
            raise ValueError("a negative number of pixels")
    except (OSError, RotnetError, ValueError, OverflowError) as error:
        raise RotnetError(f"{path}: {error}. Delete the run's folder to make it again.") from None
    if list(table.columns) != list(names) or list(table.index) != list(names):
        raise RotnetError(
            f"{path} has the classes {', '.join(map(str, table.columns))}, not {', '.join(names)}. "
            "Delete the run's folder to make it again."
        )
    return matrix
