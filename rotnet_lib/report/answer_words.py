"""What the figures of some rows say against a baseline's, in a sentence that answers the question."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import Comparison, compare
from rotnet_lib.runs.metrics import PERCENT, decimals, with_unit

Yes = Literal["higher", "lower"]
"""Where the rows must stand to the baseline for the answer to be yes."""

_SPREAD_UNKNOWN = "With one seed no spread is known, so a small difference says nothing."
_ONE_SEED = "Figures of one seed are compared by their sampling error: other seeds may differ."


def reservation(questions: Iterable[Sequence[Row]]) -> str:
    """What holds for several answers, to be said once over all of them; empty where nothing does.

    Args:
        questions: the rows of each, the baseline first, each with one cell.
    """
    found = [
        compare(cell, start) for start, others in map(_measured, questions) if start.mean is not None for _, cell in others
    ]
    said = [_SPREAD_UNKNOWN] if None in found else []
    said += [_ONE_SEED] if any(comparison and comparison.known == "images" for comparison in found) else []
    return " ".join(said)


def answer(baseline: Row, others: Sequence[Row], yes: Yes | None = None) -> str:
    """The answer to how some rows of one column stand to a baseline: yes, no or neither, the differences and their size.

    `Yes: “grey images” is 1.42 points lower than “colour” (69.44 against 70.86), more than the sampling error.`

    Args:
        baseline: what the others are compared with.
        others: rows of the same column.
        yes: where they must stand for the answer to be yes; None: no such question, and the sentence says whether they differ.
    """
    start, measured = _measured([baseline, *others])
    alike = [(row, cell) for row, cell in measured if cell.kind == start.kind]
    if start.mean is None or not measured:
        return "Not measured yet."
    if alike:
        clauses = [_clause(row.label, cell, baseline.label, start, first=not place) for place, (row, cell) in enumerate(alike)]
        said = [f"{_opening([(cell, compare(cell, start)) for _, cell in alike], start, yes)}: {'; '.join(clauses)}."]
    else:
        said = [f"Nothing has figures in the unit of “{baseline.label}” ({start.in_full})."]
    said += [
        f"“{row.label}” is of another unit and not compared ({cell.in_full})."
        for row, cell in measured
        if cell.kind != start.kind
    ]
    missing = [f"“{row.label}”" for row in others if not row.measured]
    return " ".join([*said, *([f"Not measured: {', '.join(missing)}."] if missing else [])])


def _measured(rows: Sequence[Row]) -> tuple[Cell, list[tuple[Row, Cell]]]:
    """The baseline's cell, and the other rows that have a figure."""
    start, *others = [(row, cell) for row in rows for cell in row.cells.values()]
    return start[1], [(row, cell) for row, cell in others if cell.mean is not None]


def _opening(found: Sequence[tuple[Cell, Comparison | None]], start: Cell, yes: Yes | None) -> str:
    known = [(cell, comparison) for cell, comparison in found if comparison]
    if not known:
        return "Not decided, since the error of a difference is not known"
    clear = ["higher" if (cell.mean or 0) > (start.mean or 0) else "lower" for cell, comparison in known if comparison.clear]
    if not clear:
        return "No difference can be told"
    if yes is None:
        return "A difference" if len(clear) == len(found) else "A difference in part"
    if yes not in clear:
        return "No"
    return "Yes" if len(clear) == len(found) and set(clear) == {yes} else "In part"


def _clause(label: str, cell: Cell, baseline: str, start: Cell, *, first: bool) -> str:
    """`“a” is 1.50 points lower than “b” (69.40 against 70.90), more than the sampling error`; the first alone names b."""
    figure, other = cell.mean or 0.0, start.mean or 0.0
    found = compare(cell, start)
    size = found.words if found else "with an unknown error"
    numbers = f"{_figure(figure, cell.unit)} against {_figure(other, cell.unit)}" if first else _figure(figure, cell.unit)
    distance = f"{abs(figure - other):.{decimals(figure, cell.unit)}f}"
    if not float(distance):
        return f"“{label}” is as high as “{baseline}” ({numbers}), {size}"
    unit = "points" if cell.unit == PERCENT else cell.unit
    where = "higher" if figure > other else "lower, which is better," if start.better == "lower" else "lower"
    than = f" than “{baseline}”" if first else ""
    return f"“{label}” is {distance} {f'{unit} ' if unit else ''}{where}{than} ({numbers}), {size}"


def _figure(value: float, unit: str) -> str:
    """As sentences say it: percentages without their unit."""
    return with_unit(value, "" if unit == PERCENT else unit)
