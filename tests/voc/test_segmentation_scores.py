from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from rotnet_lib.errors import RotnetError
from rotnet_lib.voc.segmentation_scores import (
    all_alike,
    confusion,
    intersection_over_union,
    pixel_accuracy,
    read_confusion,
    write_confusion,
)


def drawn(ids: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, ids, (40, 50)).astype(np.uint8)
    answer = np.where(rng.random((40, 50)) < 0.6, truth, rng.integers(0, ids, (40, 50))).astype(np.uint8)
    truth[rng.random((40, 50)) < 0.1] = 255
    return truth, answer


def test_a_picture_by_hand() -> None:
    truth = np.array([[0, 0, 1], [1, 255, 2]], np.uint8)
    answer = np.array([[0, 1, 1], [1, 2, 0]], np.uint8)
    matrix = confusion(truth, answer, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(intersection_over_union(matrix), [1 / 3, 2 / 3, 0, np.nan])
    assert pixel_accuracy(matrix) == pytest.approx(3 / 5)


def test_all_taken_for_the_most_frequent_class() -> None:
    """Of 10 pixels 6 are background: IoU 6 / 10, and 0 of the class that is there; the one that is nowhere has none."""
    matrix = np.array([[5, 1, 0], [2, 2, 0], [0, 0, 0]])
    guessed = all_alike(matrix)
    assert guessed.tolist() == [[6, 0, 0], [4, 0, 0], [0, 0, 0]]
    assert np.array_equal(intersection_over_union(guessed), [0.6, 0, np.nan], equal_nan=True)
    without_background = np.array([[0, 0, 0], [1, 2, 0], [0, 3, 4]])
    assert all_alike(without_background).tolist() == [[0, 0, 0], [0, 0, 3], [0, 0, 7]]


def test_it_is_what_mmsegmentation_counts() -> None:
    pictures = [drawn(5) for _ in range(3)]
    ids = 6  # the last occurs nowhere
    matrix = np.sum([confusion(truth, answer, ids) for truth, answer in pictures], axis=0)
    areas = [
        IoUMetric.intersect_and_union(torch.from_numpy(answer).long(), torch.from_numpy(truth).long(), ids, 255)
        for truth, answer in pictures
    ]
    totals = [sum(area) for area in zip(*areas, strict=True)]
    theirs = IoUMetric.total_area_to_metrics(*totals, ["mIoU"])
    found = intersection_over_union(matrix)
    assert np.isnan(found[-1])
    np.testing.assert_allclose(found, theirs["IoU"], rtol=1e-6)
    assert np.nanmean(found) == pytest.approx(float(np.nanmean(theirs["IoU"])), rel=1e-6)
    assert pixel_accuracy(matrix) == pytest.approx(float(theirs["aAcc"]), rel=1e-6)


def test_a_matrix_survives_its_file(tmp_path: Path) -> None:
    matrix = confusion(*drawn(3), 3)
    names = ("background", "aero", "none")  # a name that tables take for a missing value
    write_confusion(tmp_path / "confusion.csv", matrix, names)
    assert np.array_equal(read_confusion(tmp_path / "confusion.csv", names), matrix)


@pytest.mark.parametrize(
    "text",
    ["", "truth,a\na,", "truth,a\nb,1\n", "truth,a,b\na,1,2\n", "truth,a\na,x\n", "truth,a\na,-1\n", f"truth,a\na,{10**30}\n"],
)
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "confusion.csv"
    path.write_text(text)
    with pytest.raises(RotnetError, match=r"confusion\.csv.*Delete the run's folder"):
        read_confusion(path, ["a"])
    with pytest.raises(RotnetError, match=r"missing\.csv"):
        read_confusion(tmp_path / "missing.csv", ["a"])
