"""What a table is about, in points."""

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.claims import claims

CLAIM = [{"row": "A", "against": ["B", "C"]}]


def row(label: str, *figures: float, **more: object) -> Row:
    return Row(label, {f"conv{n}": Cell(None, [figure], **more) for n, figure in enumerate(figures, 1)})  # type: ignore[arg-type]


def said(*rows: Row, separate: bool = False) -> list[str]:
    return claims(CLAIM, rows, {column: column for column in rows[0].cells}, separate=separate)


def test_one_column() -> None:
    assert said(row("A", 70.0), row("B", 90.0), row("C", 20.0)) == [
        "A reaches 70.0 %, 20.0 points below B (90.0) and 50.0 points above C (20.0)."
    ]


def test_of_layers_the_best_one_stands_for_all() -> None:
    assert said(row("A", 50.0, 70.0), row("B", 90.0, 80.0), row("C", 60.0, 20.0)) == [
        "A is best on conv2: 70.0 %, 10.0 points below B (80.0) and 50.0 points above C (20.0)."
    ]


def test_of_tasks_each_has_its_sentence() -> None:
    found = said(row("A", 50.0, 70.0), row("B", 90.0, 80.0), row("C", 60.0, 20.0), separate=True)
    assert found == [
        "A, conv1: 50.0 %, 40.0 points below B (90.0) and 10.0 points below C (60.0).",
        "A, conv2: 70.0 %, 10.0 points below B (80.0) and 50.0 points above C (20.0).",
    ]


def test_what_the_error_does_not_tell_apart_is_not_claimed() -> None:
    [claim] = said(row("A", 70.0, images=100), row("B", 72.0, images=100), row("C", 20.0, images=100))
    assert claim == "A reaches 70.0 %, 2.0 points below B (72.0; within the sampling error) and 50.0 points above C (20.0)."


def test_seeds_show_their_spread() -> None:
    cells = {label: Cell(None, [mean - 1, mean + 1]) for label, mean in (("A", 70.0), ("B", 90.0), ("C", 20.0))}
    [claim] = said(*(Row(label, {"conv1": cell}) for label, cell in cells.items()))
    assert claim == "A reaches 70.0 ± 1.4 %, 20.0 points below B (90.0 ± 1.4) and 50.0 points above C (20.0 ± 1.4)."


def test_equal_figures_are_neither_above_nor_below() -> None:
    assert said(row("A", 70.0), row("B", 70.0), row("C", 20.0)) == [
        "A reaches 70.0 %, as much as B and 50.0 points above C (20.0)."
    ]
    assert said(row("A", 70.01), row("B", 70.0), row("C", 20.0)) == [
        "A reaches 70.0 %, level with B (70.0) and 50.0 points above C (20.0)."
    ]


def test_what_is_missing_is_not_compared() -> None:
    empty = Row("B", {"conv1": Cell(None, [], states=["missing"])})
    assert said(row("A", 70.0), empty, row("C", 20.0)) == ["A reaches 70.0 %, 50.0 points above C (20.0)."]
    assert said(row("A", 70.0), empty, Row("C", {})) == []
    assert said(Row("A", {"conv1": Cell(None, [])}), row("B", 90.0), row("C", 20.0)) == []


def test_where_lower_is_better_the_best_column_is_the_lowest() -> None:
    rows = [
        row(label, *figures, unit="dB", better="lower")
        for label, figures in (("A", (3.0, 2.0)), ("B", (4.0, 5.0)), ("C", (1.0, 1.0)))
    ]
    assert said(*rows) == ["A is best on conv2: 2.00 dB, 3.00 dB below B (5.00) and 1.00 dB above C (1.00)."]
