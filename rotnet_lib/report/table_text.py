"""A suite's table as text that can be pasted elsewhere: Markdown, which a terminal shows too, and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotnet_lib.report.headings import Headings

if TYPE_CHECKING:  # it needs pandas, and what is written already is printed without
    from rotnet_lib.report.cells import Cell, Row
    from rotnet_lib.report.suite_report import SuiteReport

TABLE_TEXT = "table.md"
"""In a suite's directory: its table in words and Markdown; see `summary`."""

_SIDE_BY_SIDE = 8
"""Columns that fit beside each other in a line of text. Of more, each figure has a line of its own."""

_SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_SPECIAL |= {"±": r"$\pm$", "√": r"$\sqrt{\,}$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "×": r"$\times$", "–": "--"}


_FIGURE = re.compile(r"([+-]?\d+)((?:\.\d.*)?)", re.DOTALL)
"""A figure, and what may follow it (± and its spread, a unit): what stands before its decimal point, and the rest."""


@dataclass(frozen=True)
class _Column:
    """A column of text: its heading, its entries from the top, and whether they are figures."""

    heading: str
    entries: list[str]
    figures: bool = True


def markdown(report: SuiteReport) -> str:
    """The suite's table in Markdown, without a line break at its end.

    A table of one column has a line a row, with the published figure beside the measured one. One of several columns has up to
    three lines a row: published, measured and the standard error. One of many columns has a line a figure. Measured figures are
    means, with ± and the standard deviation where there are several seeds; the decimal points of a column stand below each
    other.
    """
    columns = _columns(report)
    texts = [[_escaped(text) for text in (column.heading, *_aligned(column))] for column in columns]
    widths = [max(3, *map(len, column)) for column in texts]
    lines = []
    for number, cells in enumerate(zip(*texts, strict=True)):
        padded = (
            cell.rjust(width) if column.figures else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        )
        lines.append(f"| {' | '.join(padded)} |")
        if number == 0:
            rules = (f"{'-' * (w - 1)}:" if column.figures else "-" * w for w, column in zip(widths, columns, strict=True))
            lines.append(f"| {' | '.join(rules)} |")
    return "\n".join(lines)


def latex(report: SuiteReport) -> str:
    """The suite's table in LaTeX, without a line break at its end. It needs the package booktabs.

    It has the lines and columns of `markdown`; its caption has the suite's title, verdict, and what it was measured on.
    """
    columns = _columns(report)
    body = [_with_phantoms(column) for column in columns]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_tex(report.suite['title'])}. {_tex(report.verdict)} {_tex(_circumstances(report))}}}",
        r"\centering",
        rf"\begin{{tabular}}{{{''.join('r' if column.figures else 'l' for column in columns)}}}",
        r"\toprule",
        " & ".join(_tex(column.heading) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in zip(*body, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def summary(report: SuiteReport) -> str:
    """The suite's table as `make` prints it at its end: title, verdict, table, and how far it is the published experiment.

    They are paragraphs, in Markdown; `verdict_in` finds the verdict.
    """
    notes = [_circumstances(report)]
    if report.errors:
        notes.append("s.e.: standard error in points, of the test images and, of several seeds, of these.")
    return "\n\n".join([f"## {report.suite['title']}", report.verdict, markdown(report), " ".join(notes)]) + "\n"


def _circumstances(report: SuiteReport) -> str:
    """`On CIFAR-10, preset short. 2 of 7 runs finished. This is not the published experiment ...`"""
    finished = len(report.results)
    count = "" if finished == len(report.runs) else f" {finished} of {len(report.runs)} runs finished."
    data = "; ".join(dict.fromkeys(result.data.title for result in report.results)) or "no data yet"
    published = any(cell.published is not None for row in report.rows for cell in row.cells.values())
    said = f"On {data}, preset {report.plan['preset']}.{count}"
    if published and not report.comparable:
        said += " This is not the published experiment; the report says what differs."
    return said


def verdict_in(text: str) -> str:
    """The verdict in a text that `summary` has made; empty if there is none."""
    paragraphs = text.split("\n\n")
    return paragraphs[1] if len(paragraphs) > 1 else ""


def _columns(report: SuiteReport) -> list[_Column]:
    axis = report.axis.title if report.axis else None
    headings = Headings(report.rows, report.columns, report.suite["measure"], axis, "the test split")
    if len(report.columns) == 1:
        [column] = report.columns
        cells = [(row.label, row.cells[column]) for row in report.rows]
        named = [_Column("", [label for label, _ in cells], figures=False)]
        return [*named, *_beside([cell for _, cell in cells], headings.columns[column], column in headings.in_full)]
    if len(report.columns) <= _SIDE_BY_SIDE:
        return _side_by_side(report.rows, headings)
    listed = [(row.label, column, row.cells[column]) for row in report.rows for column in report.columns if column in row.cells]
    return [
        _Column("", [label for label, _, _ in listed], figures=False),
        _Column(axis or "", [report.columns[column] for _, column, _ in listed], figures=False),
        *_beside([cell for _, _, cell in listed], headings.corner if axis is None else report.suite["measure"], False),
    ]


def _beside(cells: Sequence[Cell], measured: str, in_full: bool) -> list[_Column]:
    """Columns of published and measured figures, the standard error and the seeds, as far as there are any."""
    columns = []
    if any(cell.published is not None for cell in cells):
        columns.append(_Column("published", [_published(cell) for cell in cells]))
        measured = f"measured: {measured}"
    columns.append(_Column(measured, [_measured(cell, in_full) for cell in cells]))
    if any(cell.error is not None for cell in cells):
        columns.append(_Column("s.e.", [cell.error_text for cell in cells]))
    if any(cell.planned > 1 for cell in cells):
        columns.append(_Column("seeds", [str(cell.n) if cell.planned else "" for cell in cells]))
    return columns


def _side_by_side(rows: Sequence[Row], headings: Headings) -> list[_Column]:
    lines: list[tuple[str, str, dict[str, str]]] = []
    for row in rows:
        published = {name: text for name, cell in row.cells.items() if (text := _published(cell))}
        measured = {name: _measured(cell, name in headings.in_full) for name, cell in row.cells.items() if cell.planned}
        errors = {name: cell.error_text for name, cell in row.cells.items() if cell.error is not None}
        found = {"published": published, "measured": measured, "s.e.": errors}
        lines += [(row.label, what, texts) for what, texts in found.items() if texts]
    return [
        _Column(headings.corner, [label for label, _, _ in lines], figures=False),
        _Column("", [what for _, what, _ in lines], figures=False),
        *(_Column(heading, [texts.get(name, "") for _, _, texts in lines]) for name, heading in headings.columns.items()),
    ]


def _published(cell: Cell) -> str:
    return "" if cell.published is None else f"{cell.published:g}"


def _measured(cell: Cell, in_full: bool) -> str:
    """The figure; or why there is none; nothing for one of another method."""
    if not cell.n:
        return cell.unfinished
    return cell.in_full if in_full else str(cell)


def _halves(column: _Column) -> list[tuple[str, str]]:
    """Each entry before and from its decimal point; words, which have none, wholly before."""
    found = (_FIGURE.fullmatch(entry) for entry in column.entries)
    return [(m[1], m[2]) if m else (entry, "") for m, entry in zip(found, column.entries, strict=True)]


def _aligned(column: _Column) -> list[str]:
    """A column's entries, followed by so many spaces that the decimal points of figures stand below each other."""
    if not column.figures:
        return column.entries
    halves = _halves(column)
    width = max((len(after) for _, after in halves), default=0)
    return [before + (after.ljust(width) if _FIGURE.fullmatch(before) else "") for before, after in halves]


def _with_phantoms(column: _Column) -> list[str]:
    """The same for LaTeX, where the room of what others have behind the point is left by `\\phantom`."""
    if not column.figures:
        return [_tex(entry) for entry in column.entries]
    halves = _halves(column)
    longest = max((after for _, after in halves), key=len, default="")
    found = []
    for before, after in halves:
        lacking = longest[len(after) :] if _FIGURE.fullmatch(before) else ""
        found.append(_tex(before + after) + (rf"\phantom{{{_tex(lacking)}}}" if lacking else ""))
    return found


def _escaped(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("|", r"\|").replace("\n", " ")


def _tex(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
