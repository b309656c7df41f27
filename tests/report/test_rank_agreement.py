"""Whether rows stand in the published order."""

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.rank_agreement import rank_agreement

COLUMNS = {"conv1": "conv1", "conv2": "conv2"}


def row(label: str, *figures: tuple[float, float], images: int | None = None) -> Row:
    """Measured and published figures, by column."""
    return Row(label, {c: Cell(p, [m], images=images) for c, (m, p) in zip(COLUMNS, figures, strict=False)})


def agreement(*rows: Row) -> str:
    columns = {column: heading for column, heading in COLUMNS.items() if column in rows[0].cells}
    return rank_agreement(rows, columns)


def test_the_published_order_is_one_and_its_reverse_minus_one() -> None:
    assert agreement(row("a", (1.0, 10.0)), row("b", (2.0, 20.0)), row("c", (3.0, 30.0))) == (
        "Order against the published figures, Kendall's tau (3 rows): 1.00."
    )
    assert agreement(row("a", (3.0, 10.0)), row("b", (2.0, 20.0)), row("c", (1.0, 30.0))).endswith(": -1.00.")


def test_one_pair_of_three_that_is_turned_round() -> None:
    assert agreement(row("a", (2.0, 10.0)), row("b", (1.0, 20.0)), row("c", (3.0, 30.0))).endswith("(3 rows): 0.33.")


def test_layers_are_not_held_against_each_other() -> None:
    """Every figure of conv2 stands above those of conv1, in both: that says nothing of the rows."""
    rows = [row("a", (3.0, 10.0), (30.0, 60.0)), row("b", (2.0, 20.0), (40.0, 70.0)), row("c", (1.0, 30.0), (50.0, 80.0))]
    assert agreement(*rows) == (
        "Order against the published figures, Kendall's tau within each column (3 rows): conv1 -1.00, conv2 1.00."
    )


def test_pairs_that_the_error_leaves_open_are_counted() -> None:
    rows = [row("a", (80.0, 10.0), images=400), row("b", (81.0, 20.0), images=400), row("c", (95.0, 30.0), images=400)]
    assert agreement(*rows).endswith("1.00; 1 of 3 pairs are within the sampling error.")


def test_two_rows_have_no_order_nor_have_figures_that_are_all_alike() -> None:
    assert agreement(row("a", (1.0, 10.0)), row("b", (2.0, 20.0))) == ""
    assert agreement(*(row(label, (50.0, 10.0 + n)) for n, label in enumerate("abc"))) == ""


def test_rows_that_nobody_published_take_no_part() -> None:
    rows = [row("a", (1.0, 10.0)), row("b", (2.0, 20.0)), row("c", (3.0, 30.0)), Row("own", {"conv1": Cell(None, [0.0])})]
    assert "(3 rows)" in agreement(*rows)
