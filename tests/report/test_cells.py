"""The figures of a table: mean, spread over seeds and errors, and how they stand to the published ones."""

import pytest

from rotnet_lib.report.cells import Cell, Row


def cell(*values: float, published: float | None = None, images: int | None = None) -> Cell:
    return Cell(published, list(values), images=images)


# --- Mean and spread ---


def test_the_mean_is_over_the_finished_seeds() -> None:
    assert cell(80.0, 82.0, 87.0).mean == 83.0


def test_the_deviation_is_that_of_a_sample() -> None:
    assert cell(1.0, 3.0).std == pytest.approx(2**0.5)


def test_one_seed_has_no_deviation() -> None:
    assert cell(80.0).std is None


def test_what_is_not_measured_has_no_figures() -> None:
    empty = Cell(90.0, states=["missing"])
    assert (empty.n, empty.planned) == (0, 1)
    assert (empty.mean, empty.std, empty.best, empty.difference) == (None, None, None, None)


def test_the_difference_is_measured_less_published() -> None:
    assert cell(80.0, 84.0, published=90.0).difference == -8.0
    assert cell(80.0).difference is None


def test_the_best_epochs_are_averaged_apart_from_the_last() -> None:
    figure = Cell(None, [80.0, 82.0], [85.0, 86.0])
    assert (figure.mean, figure.best) == (81.0, 85.5)


@pytest.mark.parametrize(("values", "text"), [((), ""), ((69.426,), "69.43"), ((69.0, 71.0), "70.00 ± 1.41")])
def test_a_cell_in_words(values: tuple[float, ...], text: str) -> None:
    assert str(cell(*values)) == text


@pytest.mark.parametrize(
    ("states", "text"),
    [
        (["finished"], ""),
        (["failed"], "failed"),
        (["finished", "missing"], "missing"),
        (["missing", "failed", "missing"], "2 missing, 1 failed"),
        ([], ""),
    ],
)
def test_what_keeps_a_cell_from_being_measured(states: list[str], text: str) -> None:
    assert Cell(None, states=states).unfinished == text


# --- Errors ---


def test_a_figure_of_one_seed_has_the_error_of_its_images() -> None:
    figure = cell(80.0, images=400)
    assert figure.sampling == figure.error == pytest.approx(2.0)
    assert figure.error_text == "2.00"


def test_more_seeds_lower_their_own_part_of_the_error_alone() -> None:
    """All stand on the same test images."""
    figure = cell(78.0, 80.0, 82.0, images=400)
    assert figure.sampling == pytest.approx(2.0)
    assert figure.error == pytest.approx((4 / 3 + 4) ** 0.5)
    assert figure.error_text == "2.31"


@pytest.mark.parametrize("figure", [cell(78.0, 82.0), cell(images=400), Cell(None, [21.0, 22.0], unit="dB")])
def test_what_is_no_share_of_so_many_images_has_no_error(figure: Cell) -> None:
    assert (figure.sampling, figure.error, figure.error_text) == (None, None, "")


# --- Against the published figure ---


@pytest.mark.parametrize(
    ("figure", "standing"),
    [
        (cell(89.0, 91.0, published=90.0), "match"),
        (cell(89.0, 91.0, published=90.0 + 2 * 2**0.5 - 0.01), "match"),  # two standard deviations: 2.83
        (cell(89.0, 91.0, published=90.0 + 2 * 2**0.5 + 0.01), "below"),
        (cell(89.0, 91.0, published=90.0 - 2 * 2**0.5 - 0.01), "above"),
        (cell(90.0, 90.0, published=90.0), "match"),
        (cell(90.0, published=90.01), "below (one seed)"),  # without a spread nothing is said to match
        (cell(90.0, published=89.0), "above (one seed)"),
        # Of 900 images 90 % has a sampling error of 1; two of them.
        (cell(90.0, published=91.99, images=900), "match (one seed)"),
        (cell(90.0, published=92.01, images=900), "below (one seed)"),
        (cell(90.0, published=87.99, images=900), "above (one seed)"),
        (cell(89.0, 91.0, published=90.0 + 2 * 3**0.5 - 0.01, images=900), "match"),  # a variance of 2 of the seeds, and 1
        (cell(89.0, 91.0, published=90.0 + 2 * 3**0.5 + 0.01, images=900), "below"),
        (cell(90.0, 90.0, published=91.99, images=900), "match"),
        (cell(90.0, 91.0, images=900), "not published"),
        (cell(90.0), "not published"),
        (cell(published=90.0), "not run"),
        (cell(), "not run"),
    ],
)
def test_how_a_figure_stands_to_the_published_one(figure: Cell, standing: str) -> None:
    assert figure.standing == standing


def test_a_rows_measured_cells_are_those_with_a_figure() -> None:
    row = Row("RotNet", {"conv1": cell(80.0), "conv2": cell(published=90.0)})
    assert list(row.measured) == ["conv1"]


# --- Other units ---


@pytest.mark.parametrize(
    ("unit", "values", "text"),
    [
        ("dB", (21.0, 22.0), "21.50 ± 0.71"),
        ("", (0.0123,), "0.0123"),
        ("", (0.45, 0.47), "0.460 ± 0.014"),
        ("", (0.0,), "0.00"),
        ("%", (0.0123,), "0.01"),
    ],
)
def test_a_figure_has_three_digits_unless_it_is_a_percentage(unit: str, values: tuple[float, ...], text: str) -> None:
    assert str(Cell(None, list(values), unit=unit)) == text


@pytest.mark.parametrize(
    ("values", "standing"),
    [((0.2, 0.2), "below (better)"), ((0.9,), "above (worse, one seed)"), ((0.4, 0.6), "match")],
)
def test_where_lower_is_better_a_standing_says_which_side_is(values: tuple[float, ...], standing: str) -> None:
    assert Cell(0.5, list(values), unit="", better="lower").standing == standing


def test_a_share_of_which_lower_is_better_may_match_too() -> None:
    assert Cell(11.99, [10.0], better="lower", images=900).standing == "match (one seed)"
    assert Cell(12.01, [10.0], better="lower", images=900).standing == "below (better, one seed)"


def test_the_better_figure_goes_by_the_direction() -> None:
    low, high = (Cell(None, [value], unit="", better="lower") for value in (0.1, 0.2))
    assert low.beats(high)
    assert not high.beats(low)
    assert cell(80.0).beats(cell(70.0))
    assert low.rank < high.rank


def test_a_difference_has_the_decimals_of_its_mean() -> None:
    """A tiny one is not written in more."""
    assert Cell(0.512, [0.51200001], unit="").difference_text == "+0.000"
    assert Cell(0.5, [0.01234], unit="").difference_text == "-0.4877"
