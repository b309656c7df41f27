"""What a table is about, said first: how far a row stands from those that it is held against, in points."""

from collections.abc import Mapping, Sequence

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import compare
from rotnet_lib.report.units import size


def claims(
    said: Sequence[Mapping[str, object]], rows: Sequence[Row], columns: Mapping[str, str], *, separate: bool
) -> list[str]:
    """A sentence for each claim of a suite of which something is measured.

    Args:
        said: the suite's claims: `row` and `against`, as labels.
        rows: the table's.
        columns: column -> its heading.
        separate: whether each column is of runs of its own. Otherwise the row's best column stands for all.
    """
    by_label = {row.label: row for row in rows}
    sentences = []
    for claim in said:
        row = by_label[str(claim["row"])]
        others = [by_label[str(label)] for label in claim["against"]]  # type: ignore[attr-defined]
        compared = {c: cell for c, cell in row.measured.items() if any(_fits(cell, other.measured.get(c)) for other in others)}
        if not compared:
            continue
        chosen = list(compared) if separate else [min(compared, key=lambda column: compared[column].rank)]
        for column in chosen:
            best = " reaches" if len(columns) == 1 else f" is best on {columns[column]}:"
            sentences.append(_sentence(row, others, column, f", {columns[column]}:" if separate else best))
    return sentences


def _fits(cell: Cell, other: Cell | None) -> bool:
    return other is not None and other.kind == cell.kind


def _sentence(row: Row, others: Sequence[Row], column: str, verb: str) -> str:
    """`RotNet + conv reaches 78.3 %, 18.6 points below Supervised NIN (96.9) and 57.3 points above Random (21.0).`"""
    cell = row.cells[column]
    parts = [_apart(cell, other.label, found) for other in others if _fits(cell, found := other.measured.get(column))]
    *most, last = parts
    apart = f"{', '.join(most)} and {last}" if most else last
    return f"{row.label}{verb} {cell.spread} {cell.unit}".rstrip() + f", {apart}."


def _apart(cell: Cell, label: str, other: Cell | None) -> str:
    assert other is not None
    assert cell.mean is not None
    assert other.mean is not None
    difference = cell.mean - other.mean
    if difference == 0:
        return f"as much as {label}"
    found = compare(cell, other)
    known = f"{other.spread}; {found.words}" if found and not found.clear else other.spread
    if cell.brief == other.brief:  # they differ by less than is shown
        return f"level with {label} ({known})"
    return f"{size(difference, cell.mean, cell.unit)} {'above' if difference > 0 else 'below'} {label} ({known})"
