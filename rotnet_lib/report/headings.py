"""What stands over a suite's table and in its note: which figures have which unit, and whose images they are of."""

from collections.abc import Iterable

from rotnet_lib.report.cells import Cell, Kind, Row
from rotnet_lib.report.units import heading, in_words
from rotnet_lib.runs.metrics import PERCENT

ACCURACY: Kind = (PERCENT, "higher")


def kind_of(cells: Iterable[Cell]) -> Kind | None:
    """The unit and direction that all figures of runs have, percent where there are none; None: they have several."""
    kinds = {cell.kind for cell in cells if cell.planned} or {ACCURACY}
    return kinds.pop() if len(kinds) == 1 else None


def by_kind(what: str, named: dict[str, Cell]) -> list[tuple[str, dict[str, Cell]]]:
    """Measured figures by label, those that can be compared together: what stands before them, and the figures."""
    kinds = list(dict.fromkeys(cell.kind for cell in named.values()))
    if len(kinds) < 2:
        return [(what, named)]
    return [
        (f"{what}{in_words(*kind) or 'plain numbers'}: ", {label: c for label, c in named.items() if c.kind == kind})
        for kind in kinds
    ]


class Headings:
    """The words over a table.

    Attributes:
        columns: column -> its heading, with the unit where the columns have different ones, or where there is one column.
        corner: what stands over the labels of the rows, where there are several columns.
        in_full: the columns whose figures have several units, so that each says its own.
        what: what was measured, for the note below.
        tested: whose images the figures are of, for the note.
        some_trained: whether some of the figures, not all, are of the training images.
    """

    def __init__(self, rows: list[Row], columns: dict[str, str], measure: str, axis: str | None, tested_on: str) -> None:
        cells = [cell for row in rows for cell in row.cells.values()]
        whole = kind_of(cells)
        kinds = {column: kind_of(row.cells[column] for row in rows if column in row.cells) for column in columns}
        own = whole is None or len(columns) == 1
        self.columns = {c: heading(said, *kind) if own and (kind := kinds[c]) else said for c, said in columns.items()}
        self.in_full = [column for column, kind in kinds.items() if kind is None]
        over = heading(measure, *whole) if whole else measure
        self.corner = over if axis is None else axis if whole == ACCURACY else f"{axis}; {over}"
        self.what = measure if measure != "top1" else "accuracy" if whole == ACCURACY else "figures"
        trained = [cell for cell in cells if cell.planned and not cell.tested]
        all_trained = len(trained) == sum(bool(cell.planned) for cell in cells) > 0
        self.tested = "the training images (these figures have no meaning on others)" if all_trained else tested_on
        self.some_trained = bool(trained) and not all_trained
