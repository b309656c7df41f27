"""What is said of a table's figures."""

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.verdicts import best_of, extremes


def named(**figures: float) -> dict[str, Cell]:
    return {label: Cell(None, [figure]) for label, figure in figures.items()}


def test_few_columns_are_gone_through() -> None:
    groups = [("detection: ", named(A=1.0, B=3.0, C=2.0)), ("segmentation: ", named(A=5.0, B=4.0))]
    assert best_of(groups) == "detection: highest B (3.0), lowest A (1.0); segmentation: highest A (5.0), lowest B (4.0)"


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
