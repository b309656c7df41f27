"""Scores survive their file, and average precision is what it is by hand."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.voc.scores import Scores, average_precision, chance_precision, curve, read_scores


def ap(present: list[int], scores: list[float]) -> float | None:
    return average_precision(np.array(present, np.int8), np.array(scores, np.float32))


@pytest.mark.parametrize(
    ("present", "scores", "expected"),
    [
        ([1, 1, 0, 0], [4, 3, 2, 1], 100),
        ([0, 0, 1, 1], [4, 3, 2, 1], 100 * (1 / 3 + 2 / 4) / 2),
        ([1, 0, 1, 0], [4, 3, 2, 1], 100 * (1 / 1 + 2 / 3) / 2),
        ([0, 1], [-3.5, -9.0], 50),
        ([1], [0.0], 100),
        ([1, -1, 1, 0], [4, 3, 2, 1], 100),  # the image of only difficult objects is not counted
        ([-1, 1, 0], [9, 1, 2], 50),
        ([1, 0], [1, 1], 50),  # a tie goes against the classifier
        ([0, 1, 0, 0], [2, 2, 2, 2], 25),
        ([1, 1, 0], [5, 5, 5], 100 * (2 / 3)),  # tied positives stay tied: both come with the second of three ranks
    ],
)
def test_small_cases(present: list[int], scores: list[float], expected: float) -> None:
    assert ap(present, scores) == pytest.approx(expected)


def test_average_precision_is_the_mean_precision_at_each_positive() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        present, scores = rng.integers(-1, 2, 50).astype(np.int8), rng.normal(size=50).astype(np.float32)
        kept = [(score, truth) for score, truth in zip(scores, present, strict=True) if truth >= 0]
        ranked = [truth for _, truth in sorted(kept, reverse=True)]
        hits = [sum(ranked[: rank + 1]) / (rank + 1) for rank, truth in enumerate(ranked) if truth]
        assert average_precision(present, scores) == pytest.approx(100 * sum(hits) / len(hits))


@pytest.mark.parametrize("present", [[0, 0], [-1, 0], [-1, -1]])
def test_a_class_that_no_image_shows_has_none(present: list[int]) -> None:
    assert ap(present, [1, 2]) is None


@pytest.mark.parametrize("present", [[1, 0, 0, 1, 0], [1, 1, 0, -1], [1, 0, 0], [1, 1], [1]])
def test_chance_is_the_mean_over_all_orders_of_the_images(present: list[int]) -> None:
    orders = [ap(present, list(map(float, order))) for order in itertools.permutations(range(len(present)))]
    assert chance_precision(np.array(present)) == pytest.approx(np.mean([order for order in orders if order is not None]))


def test_a_class_that_no_image_shows_has_no_chance() -> None:
    assert chance_precision(np.array([0, -1, 0])) is None


def test_the_curve_leaves_difficult_images_out() -> None:
    recall, precision = curve(np.array([1, -1, 0, 1], np.int8), np.array([4, 3, 2, 1], np.float32))
    assert recall.tolist() == [1, 0.5, 0.5, 0]
    assert precision.tolist() == pytest.approx([2 / 3, 0.5, 1, 1])


def make() -> Scores:
    values = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32) * np.float32(1e-3)
    return Scores(("000001", "2008_000002", "3"), ("cat", "dining table"), {1: values[0], 10: values[1]})


def test_a_file_gives_back_exactly_what_was_written(tmp_path: Path) -> None:
    scores, path = make(), tmp_path / "scores.csv"
    scores.write(path)
    assert path.read_text().splitlines()[0] == "image,crops,cat,dining table"
    found = read_scores(path, scores.images, scores.classes)
    assert (found.images, found.classes) == (scores.images, scores.classes)
    assert found.values.keys() == scores.values.keys()
    assert all(np.array_equal(found.values[crops], scores.values[crops]) for crops in scores.values)
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(
    ("line", "text", "told"),
    [
        (1, "image,crops,cat,dog", r"line 1: the columns should be image, crops, cat, dining table"),
        (3, "2008_000002,1,0.5", r"line 3: 2 finite scores expected"),
        (3, "2008_000002,1,0.5,nan", r"line 3: 2 finite scores expected"),
        (3, "2008_000002,1,0.5,much", r"line 3: could not convert string to float"),
        (3, "2008_000002,one,0.5,1", r"line 3: invalid literal"),
        (3, "", r"line 3: list index out of range"),
        (3, "2008_000002,1,0.5," + 200_000 * "1", r"line 3: field larger than field limit"),
        (3, "2008_000002,1,0.5,1e999", r"line 3: 2 finite scores expected"),
        (3, "4,1,0.5,1", r"line 3: no test image is called 4"),
        (3, "3,1,0.5,1", r"line 4: image 3 occurs there twice with 1 crops"),
        (3, None, r"1 images lack their scores of 1 crops, the first 2008_000002"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, line: int, text: str | None, told: str) -> None:
    scores, path = make(), tmp_path / "scores.csv"
    scores.write(path)
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RotnetError, match=told) as caught:
        read_scores(path, scores.images, scores.classes)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RotnetError, match=r"nothing\.csv is missing"):
        read_scores(tmp_path / "nothing.csv", ("1",), ("cat",))
