"""Texts in place of figures: what one would read off them, with their numbers."""

from collections.abc import Iterable, Mapping, Sequence

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.runs.metrics import with_unit

_SHOWN = 30
"""Things that a text names one by one, at most; a reader with eyes does not take in more from a figure either."""


def one_by_one(parts: Iterable[str], between: str = ", ") -> str:
    """`a, b, c`; of many the first ones, and how many more there are."""
    parts = list(parts)
    more = len(parts) - _SHOWN
    return between.join([*parts[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


def values_by_name(values: Mapping[str, float], unit: str = "%") -> str:
    """`conv1 60.00 %, conv2 80.00 %`."""
    return one_by_one(f"{name} {with_unit(value, unit)}" for name, value in values.items())


def course(values: Sequence[float], unit: str = "%") -> str:
    """Where a curve begins and ends, and its highest and lowest point where these lie in between; `values` is not empty."""
    first, last, low, high = values[0], values[-1], min(values), max(values)
    if len(values) == 1:
        return with_unit(first, unit)
    between = [f"lowest {with_unit(low, unit)}"] if low < min(first, last) else []
    between += [f"highest {with_unit(high, unit)}"] if high > max(first, last) else []
    return f"from {with_unit(first, unit)} to {with_unit(last, unit)}" + (f" ({', '.join(between)})" if between else "")


def table_in_words(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Every row of a table with its figures, those published behind those measured.

    Args:
        rows: the table's.
        columns: column -> its heading.
    """
    return one_by_one((_row_in_words(row, columns) for row in rows), between=" ")


def sentence_on_bars(cells: Iterable[Cell]) -> str:
    """What the bars of a plot are, with a space before it; empty where it has none."""
    measured = [cell for cell in cells if cell.mean is not None]
    seeds, images = any(cell.std is not None for cell in measured), any(cell.sampling is not None for cell in measured)
    if not (seeds or images):
        return ""
    of = (
        "of the test images and of the seeds"
        if seeds and images
        else "of the test images, with one seed"
        if images
        else "of the seeds"
    )
    return f" Error bars reach one standard error ({of}) to both sides of the mean."


def _row_in_words(row: Row, columns: Mapping[str, str]) -> str:
    parts = []
    for column, cell in row.cells.items():
        figures = _cell_in_words(cell)
        if figures:
            parts.append(f"{columns[column]} {figures}" if len(row.cells) > 1 else figures)
    return f"{row.label}: {one_by_one(parts) or 'nothing'}."


def _cell_in_words(cell: Cell) -> str:
    measured = with_unit(cell.mean, cell.unit) if cell.mean is not None else ""
    if measured and cell.std is not None:
        measured += (
            f" (mean of {cell.n} seeds, {with_unit(min(cell.values), cell.unit)} to {with_unit(max(cell.values), cell.unit)})"
        )
    published = f"published {with_unit(cell.published, cell.unit)}" if cell.published is not None else ""
    return " and ".join(filter(None, [measured, published]))
