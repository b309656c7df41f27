"""What is said of a table's figures."""

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.verdicts import best_of, extremes


def named(images: int | None = None, **figures: float) -> dict[str, Cell]:
    return {label: Cell(None, [figure], images=images) for label, figure in figures.items()}


def test_few_columns_are_gone_through() -> None:
    groups = [("detection: ", named(A=1.0, B=3.0, C=2.0)), ("segmentation: ", named(A=5.0, B=4.0))]
    assert best_of(groups) == "detection: highest B (3.0), lowest A (1.0); segmentation: highest A (5.0), lowest B (4.0)"


def test_where_all_figures_are_shown_alike_none_is_the_highest() -> None:
    groups = [("detection: ", named(A=6.91, B=6.912)), ("segmentation: ", named(A=5.0, B=4.0))]
    assert best_of(groups) == "detection: all 6.9; segmentation: highest A (5.0), lowest B (4.0)"


def test_of_many_columns_it_is_counted_where_each_row_is_highest() -> None:
    groups = [(f"{n}: ", named(A=1.0, B=2.0, C=0.0)) for n in range(3)] + [(f"{n}: ", named(A=2.0, B=1.0)) for n in range(2)]
    assert best_of(groups) == "of 5 columns, B is highest in 3, A in 2"


def test_a_rows_extremes_are_named_by_column() -> None:
    assert extremes(Row("A", named(cat=20.0, ship=70.0, dog=30.0))) == "A: highest ship (70.0), lowest cat (20.0)"


def test_where_lower_is_better_the_lowest_comes_first() -> None:
    cells = {label: Cell(None, [figure], unit="", better="lower") for label, figure in {"A": 0.5, "B": 0.0123}.items()}
    assert best_of([("", cells)]) == "lowest, which is best, B (0.0123), highest A (0.500)"
    assert best_of([(f"{n}: ", cells) for n in range(5)]) == "of 5 columns, B is lowest, which is best, in 5"
    assert best_of([(f"{n}: ", named(A=1.0, B=2.0)) for n in range(4)] + [("", cells)]) == "of 5 columns, B is best in 5"


# --- What the test images do not tell apart ---


def test_what_is_as_high_within_the_error_is_named() -> None:
    """Of 400 images: two errors of a difference are 5 or 6 points here."""
    text = best_of([("", named(400, A=82.0, B=81.0, C=60.0))])
    assert text == "highest A (82.0), lowest C (60.0); B (81.0) is within the sampling error of the highest"
    text = best_of([("", named(400, A=82.0, B=80.0, C=60.0, D=81.0))])
    assert text.endswith("; D (81.0) and B (80.0) are within the sampling error of the highest")
    text = best_of([("", named(400, A=82.0, B=81.0, C=81.5, D=80.5, E=80.0))])
    assert text == "highest A (82.0), lowest E (80.0); 4 others are within the sampling error of the highest"


def test_what_the_images_tell_apart_is_said_as_before() -> None:
    assert best_of([("", named(400, A=82.0, B=70.0))]) == "highest A (82.0), lowest B (70.0)"


def test_with_several_seeds_it_is_the_error_of_both() -> None:
    cells = {label: Cell(None, [mean - 0.1, mean + 0.1], images=400) for label, mean in (("A", 82.0), ("B", 81.0))}
    assert best_of([("", cells)]) == "highest A (82.0), lowest B (81.0); B (81.0) is within the error of the highest"
    unknown = {label: Cell(None, cell.values) for label, cell in cells.items()}
    assert best_of([("", unknown)]) == "highest A (82.0), lowest B (81.0)"


def test_an_error_rate_is_as_low_within_the_error() -> None:
    cells = {label: Cell(None, [figure], better="lower", images=400) for label, figure in (("A", 18.0), ("B", 19.0))}
    assert best_of([("", cells)]) == (
        "lowest, which is best, A (18.0), highest B (19.0); B (19.0) is within the sampling error of the lowest"
    )


def test_of_many_columns_those_are_counted_that_are_not_clear() -> None:
    groups = [(f"{n}: ", named(400, A=82.0, B=81.0)) for n in range(2)] + [
        (f"{n}: ", named(400, A=82.0, B=60.0)) for n in "abc"
    ]
    assert best_of(groups) == "of 5 columns, A is highest in 5; in 2 another is within the sampling error"


def test_a_rows_extremes_may_be_no_extremes() -> None:
    text = extremes(Row("A", named(100, cat=20.0, ship=70.0, dog=65.0)))
    assert text == "A: highest ship (70.0), lowest cat (20.0); dog (65.0) is within the sampling error of the highest"


def test_a_row_whose_extremes_are_level_has_none() -> None:
    """Of 1,000 images: two errors of the difference are 3 points."""
    cells = named(1000, **{"0 degrees": 86.3, "180 degrees": 87.7, "270 degrees": 86.2})
    text = extremes(Row("RotNet", cells, overall=Cell(None, [86.7])))
    ends = "from 86.2 (270 degrees) to 87.7 (180 degrees), which are within the sampling error of each other"
    assert text == f"RotNet: 86.7 overall, {ends}"
    text = extremes(Row("RotNet", named(1000, cat=40.0, ship=90.0), overall=Cell(None, [71.0])))
    assert text == "RotNet: 71.0 overall, highest ship (90.0), lowest cat (40.0)"
