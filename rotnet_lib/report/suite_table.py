"""A suite's table as a page shows it: one line a cell, decimals aligned, each measured figure linked to its run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rotnet_lib.report.aligned import aligned
from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.headings import Headings
from rotnet_lib.report.suite_report import SuiteReport


@dataclass(frozen=True)
class Entry:
    """What stands in a cell.

    Attributes:
        text: the figure, or why there is none.
        link: the page of the run that measured it, or of the one that failed; the part of this page that lists several runs.
        bad: whether it is missing where one was planned.
        strong: whether it is a measured figure.
        note: what is said of it when one points at it.
    """

    text: Markup
    link: str | None = None
    bad: bool = False
    strong: bool = False
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a row: the measured figures, or the published ones below them.

    Attributes:
        label: what stands before it.
        entries: one a heading.
        published: whether these are published figures.
        absent: whether nothing of the row is measured here.
    """

    label: str
    entries: tuple[Entry, ...]
    published: bool = False
    absent: bool = False


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        corner: what stands over the labels.
        headings: over the other columns.
        rows: each of one line or more, which stay together when the table is sorted.
    """

    corner: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]

    @property
    def sortable(self) -> bool:
        """Whether it is long enough to be sorted."""
        return len(self.rows) > 10


def suite_table(report: SuiteReport, headings: Headings) -> Table:
    """A suite's table: a column for each kind of figure where its rows have one, a line for each where they have several."""
    return _of_one(report, headings) if len(report.columns) == 1 else _of_several(report, headings)


def best_matters(cells: Iterable[Cell]) -> bool:
    """Whether the best epoch of a table's figures tells more than their last: of a quarter of the measured ones, at least."""
    measured = [cell for cell in cells if cell.n]
    differ = sum(cell.best_text not in ("", cell.mean_text) for cell in measured)
    return bool(differ) and 4 * differ >= len(measured)


def _of_one(report: SuiteReport, headings: Headings) -> Table:
    """Rows of one figure: published, measured, its error, and what else differs between rows, in columns of their own."""
    [(column, over)] = headings.columns.items()
    in_full = column in headings.in_full
    cells = [next(iter(row.cells.values())) for row in report.rows]
    measured = [cell for cell in cells if cell.n]
    wanted: list[tuple[str, Callable[[Cell], str]]] = []
    published = any(cell.published is not None for cell in cells)
    if published:
        wanted.append(("published", lambda cell: cell.published_text))
    wanted.append(("measured", lambda cell: _figure(cell, in_full=in_full)))
    if any(cell.error is not None for cell in cells):
        wanted.append(("standard error", lambda cell: cell.error_text))
    if published and report.comparable:
        wanted.append(("difference", lambda cell: cell.difference_text))
    if len({(cell.n, cell.planned) for cell in cells if cell.planned}) > 1:
        wanted.append(("seeds", lambda cell: _seeds(cell)))
    if best_matters(measured):
        wanted.append(("best epoch", lambda cell: cell.best_text))
    columns = {name: aligned([text(cell) for cell in cells]) for name, text in wanted}
    rows = []
    for number, row in enumerate(report.rows):
        cell = cells[number]
        entries = tuple(
            _measured(cell, texts[number], headings) if name == "measured" else Entry(texts[number])
            for name, texts in columns.items()
        )
        rows.append((Line(row.label, entries, absent=not cell.planned),))
    return Table(over, tuple(columns), tuple(rows))


def _of_several(report: SuiteReport, headings: Headings) -> Table:
    """Rows of several figures: a line of the measured ones and below it one of the published ones."""
    texts = {
        column: iter(
            aligned([text for row in report.rows for text in _texts(row.cells.get(column), in_full=column in headings.in_full)])
        )
        for column in headings.columns
    }
    rows = []
    for row in report.rows:
        found = []
        for column in headings.columns:
            cell = row.cells.get(column)
            figure, printed, difference = (next(texts[column]) for _ in range(3))
            found.append((_measured(cell, figure, headings) if cell else Entry(figure), Entry(printed), Entry(difference)))
        rows.append(_lines(row, *zip(*found, strict=True), compared=report.comparable))
    return Table(headings.corner, tuple(headings.columns.values()), tuple(rows))


def _lines(
    row: Row, measured: Sequence[Entry], published: Sequence[Entry], difference: Sequence[Entry], *, compared: bool
) -> tuple[Line, ...]:
    planned = any(cell.planned for cell in row.cells.values())
    printed = any(cell.published is not None for cell in row.cells.values())
    if not planned:
        return (Line(row.label, tuple(published), published=True, absent=True),)
    lines = [Line(row.label, tuple(measured))]
    if printed:
        lines.append(Line("published", tuple(published), published=True))
    if printed and compared:
        lines.append(Line("difference", tuple(difference), published=True))
    return tuple(lines)


def _texts(cell: Cell | None, *, in_full: bool) -> tuple[str, str, str]:
    """Measured figure, published figure, difference."""
    return (_figure(cell, in_full=in_full), cell.published_text, cell.difference_text) if cell else ("", "", "")


def _measured(cell: Cell, text: Markup, headings: Headings) -> Entry:
    if not cell.planned:
        return Entry(Markup(""))
    if not cell.n:
        return Entry(Markup("{}").format(cell.unfinished), cell.link, bad=True)
    notes = [f"standard error {cell.error_text}"] if cell.error is not None else []
    notes += [f"{cell.n} of {cell.planned} seeds"] if cell.n != cell.planned else []
    notes += [f"best epoch: {cell.best_text}"] if cell.best_text not in ("", cell.mean_text) else []
    if headings.some_trained and not cell.tested:
        notes.insert(0, "of the training images")
        text += Markup(' <abbr title="of the training images">train</abbr>')
    if cell.n != cell.planned:
        text += Markup(' <span class="bad">({} of {})</span>').format(cell.n, cell.planned)
    return Entry(text, cell.link, strong=True, note="; ".join(notes))


def _figure(cell: Cell, *, in_full: bool) -> str:
    if not cell.n:
        return ""
    return cell.in_full if in_full else str(cell)


def _seeds(cell: Cell) -> str:
    if not cell.planned:
        return ""
    return str(cell.n) if cell.n == cell.planned else f"{cell.n} of {cell.planned}"
