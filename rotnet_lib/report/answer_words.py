"""What the figures of some rows say against a baseline's, in a sentence that answers the question."""

from collections.abc import Iterable, Sequence

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import Comparison, compare
from rotnet_lib.runs.metrics import PERCENT, Better, decimals, with_unit

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


def answer(baseline: Row, others: Sequence[Row], yes: Better | None = None, amount: Better | None = None) -> str:
    """The answer to how some rows of one column stand to a baseline: yes, no, an amount or neither, then each difference.

    `Yes: “grey images” is 1.42 points lower than “colour” (69.44 against 70.86), more than the sampling error.`

    Args:
        baseline: what the others are compared with.
        others: rows of the same column.
        yes: where they must stand for the answer to be yes; None: no such question.
        amount: where they must stand for the answer to be how far they are from the baseline; None: no such question. With
            neither, the answer says whether they differ.
    """
    start, measured = _measured([baseline, *others])
    alike = [(row, cell) for row, cell in measured if cell.kind == start.kind]
    if start.mean is None or not measured:
        return "Not measured yet."
    if alike:
        clauses = [clause(row.label, cell, baseline.label, start, first=not place) for place, (row, cell) in enumerate(alike)]
        said = [f"{_opening([(cell, compare(cell, start)) for _, cell in alike], start, yes, amount)}: {'; '.join(clauses)}."]
    else:
        said = [f"Nothing has figures in the unit of “{baseline.label}” ({start.in_full})."]
    said += [
        f"“{row.label}” is of another unit and not compared ({cell.in_full})."
        for row, cell in measured
        if cell.kind != start.kind
    ]
    missing = [f"“{row.label}”" for row in others if not row.measured]
    return " ".join([*said, *([f"Not measured: {', '.join(missing)}."] if missing else [])])


def clause(label: str, cell: Cell, baseline: str, start: Cell, *, first: bool) -> str:
    """`“a” is 1.50 points lower than “b” (69.40 against 70.90), more than the sampling error`.

    Args:
        label, cell: a, with a figure.
        baseline, start: b, with a figure of the same kind.
        first: whether b is named; not where it has just been.
    """
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


def _measured(rows: Sequence[Row]) -> tuple[Cell, list[tuple[Row, Cell]]]:
    """The baseline's cell, and the other rows that have a figure."""
    start, *others = [(row, cell) for row in rows for cell in row.cells.values()]
    return start[1], [(row, cell) for row, cell in others if cell.mean is not None]


def _opening(found: Sequence[tuple[Cell, Comparison | None]], start: Cell, yes: Better | None, amount: Better | None) -> str:
    known = [(cell, comparison) for cell, comparison in found if comparison]
    if not known:
        return "Not decided, since the error of a difference is not known"
    clear = [cell for cell, comparison in known if comparison.clear]
    if not clear:
        return "No difference can be told"
    sides: list[Better] = ["higher" if _above(cell, start) > 0 else "lower" for cell in clear]
    all_clear = len(clear) == len(found)
    if amount is not None:
        meant = [abs(_above(cell, start)) for cell, side in zip(clear, sides, strict=True) if side == amount]
        return _amount(meant, start, whole=all_clear and len(meant) == len(clear))
    if yes is None:
        return "A difference" if all_clear else "A difference in part"
    if yes not in sides:
        return "No"
    return "Yes" if all_clear and set(sides) == {yes} else "In part"


def _amount(distances: Sequence[float], start: Cell, *, whole: bool) -> str:
    """`By 10.2 points`, `By 1.3 to 10.2 points`; `By up to 10.2 points` where not all differ so.

    Args:
        distances: from the baseline, of the rows that stand where it is asked for.
        start: the baseline's cell.
        whole: whether these are all rows.
    """
    if not distances:
        return "Not at all"
    digits = 1 if start.unit == PERCENT else decimals(start.mean or 0.0, start.unit)
    unit = "points" if start.unit == PERCENT else start.unit
    least, most = (f"{end(distances):.{digits}f}" for end in (min, max))
    size = f"up to {most}" if not whole else most if least == most else f"{least} to {most}"
    return f"By {size} {unit}".rstrip()


def _above(cell: Cell, start: Cell) -> float:
    return (cell.mean or 0.0) - (start.mean or 0.0)


def _figure(value: float, unit: str) -> str:
    """As sentences say it: percentages without their unit."""
    return with_unit(value, "" if unit == PERCENT else unit)
