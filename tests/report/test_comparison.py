"""Whether figures of our own differ by more than their errors."""

import pytest

from rotnet_lib.report.cells import Cell
from rotnet_lib.report.comparison import Comparison, called, compare


def cell(*values: float, images: int | None = None) -> Cell:
    return Cell(None, list(values), images=images)


@pytest.mark.parametrize(
    ("a", "b", "clear"),
    [
        # Standard error of the difference: sqrt(2/2 + 2/2) = 1.41; twice that: 2.83.
        (cell(79.0, 81.0), cell(81.8, 83.8), False),
        (cell(79.0, 81.0), cell(81.9, 83.9), True),
        (cell(81.9, 83.9), cell(79.0, 81.0), True),
        (cell(80.0, 80.0), cell(80.0, 80.0), False),
        (cell(79.0, 81.0), cell(81.9, 83.9, images=10), True),  # of the other one nobody knows of how many images it is
    ],
)
def test_the_seeds_spread_tells_figures_apart(a: Cell, b: Cell, clear: bool) -> None:
    assert compare(a, b) == Comparison(clear, "seeds")


@pytest.mark.parametrize("better", [50.0 + 2 * 50**0.5, 50.0 - 2 * 50**0.5])
def test_two_figures_of_one_seed_are_told_apart_by_two_errors_of_their_difference(better: float) -> None:
    """Of 100 images 50 % has an error of 5, and the other one less: 64.1 and 35.9 % have 4.80."""
    limit = 2 * (25 + 4.797**2) ** 0.5
    inside, outside = (50 + (limit + step) * (1 if better > 50 else -1) for step in (-0.2, 0.2))
    assert compare(cell(50.0, images=100), cell(inside, images=100)) == Comparison(False, "images")
    assert compare(cell(50.0, images=100), cell(outside, images=100)) == Comparison(True, "images")


@pytest.mark.parametrize(("difference", "clear"), [(14.9, True), (14.1, False)])
def test_with_several_seeds_both_errors_count(difference: float, clear: bool) -> None:
    """Variances of 4/2 and 4/2 of the seeds, 25 and 23 of the images: two errors are 14.4, of the images alone 13.9."""
    a, b = (cell(mean - 2**0.5, mean + 2**0.5, images=100) for mean in (50.0, 50.0 + difference))
    assert compare(a, b) == Comparison(clear, "seeds and images")


def test_the_spread_of_one_side_counts_where_the_other_has_one_seed() -> None:
    close, wide = cell(59.0, 61.0, images=10_000), cell(50.0, 70.0, images=10_000)
    assert compare(close, cell(65.0, images=10_000)) == Comparison(True, "images")
    assert compare(wide, cell(65.0, images=10_000)) == Comparison(False, "images")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (cell(80.0), cell(90.0, 91.0)),
        (cell(80.0, 81.0), cell(90.0)),
        (cell(80.0, images=100), cell(90.0)),
        (cell(80.0, images=100), cell(90.0, 91.0)),
        (cell(), cell(90.0, 91.0)),
        (cell(images=100), cell(90.0, images=100)),
    ],
)
def test_where_an_error_is_not_known_nothing_is_said(a: Cell, b: Cell) -> None:
    assert compare(a, b) is None
    assert compare(b, a) is None


def test_more_seeds_tell_a_smaller_difference() -> None:
    few, many = [79.0, 81.0], [79.0, 81.0] * 8
    for values, clear in ((few, False), (many, True)):
        found = compare(cell(*values), cell(*(value + 2 for value in values)))
        assert found is not None
        assert found.clear is clear


def test_more_seeds_do_not_tell_what_the_images_do_not() -> None:
    values = [79.0, 81.0] * 8
    found = compare(cell(*values, images=100), cell(*(value + 2 for value in values), images=100))
    assert found == Comparison(False, "seeds and images")


@pytest.mark.parametrize(
    ("found", "words", "level"),
    [
        (Comparison(True, "images"), "more than the sampling error", False),
        (Comparison(False, "images"), "within the sampling error", True),
        (Comparison(False, "seeds and images"), "within the error", True),
        (Comparison(True, "seeds"), "more than the seeds' spread", False),
        (Comparison(False, "seeds"), "within the seeds' spread", False),
    ],
)
def test_in_words(found: Comparison, words: str, level: bool) -> None:
    assert (found.words, found.level) == (words, level)


def test_several_are_called_by_the_one_of_which_the_least_is_known() -> None:
    images, seeds, both = (Comparison(True, known) for known in ("images", "seeds", "seeds and images"))
    assert called([seeds, both, images]) == "sampling error"
    assert called([seeds, both]) == "error"
    assert called([seeds, seeds]) == "seeds' spread"
