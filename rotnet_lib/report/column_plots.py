"""Rows over several columns: lines over layers, curves over what columns count, bars by class or task."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.chances import cell_chances, chance_lines
from rotnet_lib.report.figure_style import GREY, WIDTH, Mark, figure_style, mark
from rotnet_lib.report.figure_words import sentence_on_bars, table_in_words
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import bar_length, chance_line, legend_above
from rotnet_lib.report.row_plots import axes_of
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import axis_label

_FADED: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "alpha": 0.6, "markerfacecolor": "white"}
"""How a published figure differs from a measured one, which is solid."""
_WIDEST = 10.0
"""Inches of a figure of many bars."""
_SHARE = 0.82
"""Of the room for a column, how much its bars take together."""


def compare_columns(report: SuiteReport) -> ReportFigure:
    """Measured figures of each row over the columns, and published ones of the same rows."""
    order = _filled(report)
    figure, axes = _lines(report, lambda column, _: float(order.index(column)))
    for axis in axes:
        axis.set_xticks(range(len(order)), [report.columns[column] for column in order])
    return _shown(report, figure, "The measured rows over the columns of the table.")


def curves(report: SuiteReport) -> ReportFigure:
    """Measured figures of each row, and published ones of the same rows, over what the columns count."""
    assert report.axis
    figure, axes = _lines(report, lambda _, cell: cell.x)
    places = sorted({cell.x for row in report.rows for cell in row.measured.values() if cell.x is not None})
    for axis in axes:
        axis.set_xlabel(report.axis.title)
        if report.axis.logarithmic:
            axis.set_xscale("log")
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.minorticks_off()
    return _shown(report, figure, f"The measured rows against {report.axis.title}.")


def bars(report: SuiteReport) -> ReportFigure:
    """A bar for each row's mean at each column (class, task), and the published figure beside it."""
    rows = _measured(report)
    order = _filled(report)
    width = _SHARE / len(rows)
    names = _axes(report)
    across = min(_WIDEST, max(WIDTH, 1.0 + 0.16 * len(rows) * len(order)))
    with figure_style(0.85, grid=True):
        figure, axes = pyplot.subplots(
            len(names), figsize=(across, 3.6 * len(names)), sharex=True, squeeze=False, layout="constrained"
        )
        handles: dict[str, Any] = {}
        for axis, name in zip(axes.flat, names, strict=True):
            for number, row in enumerate(rows):
                shown = {column: cell for column, cell in row.measured.items() if _says(report, cell) == name}
                left = -_SHARE / 2 + (number + 0.5) * width
                places = [order.index(column) + left for column in shown]
                handles |= _bars(axis, places, list(shown.values()), row.label, mark(number), width)
            handles |= _guessing(report, axis, name)
            axis.set_ylabel(name)
            axis.grid(visible=False, axis="x")
            axis.set_xticks(range(len(order)), [report.columns[column] for column in order])
            pyplot.setp(axis.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")
        handles["published"] = handles.pop("published", None)  # behind the rows
        legend_above(figure, {said: handle for said, handle in handles.items() if handle is not None})
    return _shown(report, figure, "The measured rows by column.")


def _bars(axis: Axes, places: Sequence[float], cells: Sequence[Cell], label: str, look: Mark, width: float) -> dict[str, Any]:
    """Draw a row; what the legend says -> what stands before it."""
    if not cells:
        return {}
    means = [cell.mean or 0.0 for cell in cells]
    drawn = axis.bar(places, means, width, label=label, color=look.colour, hatch=look.hatch, edgecolor="white", linewidth=0.5)
    errors = [(place, mean, bar) for place, mean, cell in zip(places, means, cells, strict=True) if (bar := bar_length(cell))]
    if errors:
        x, y, length = _columns(errors)
        axis.errorbar(x, y, length, fmt="none", ecolor="black", elinewidth=1.0, capsize=2)
    published = [(place, cell.published) for place, cell in zip(places, cells, strict=True) if cell.published is not None]
    found: dict[str, Any] = {label: drawn}
    if published:
        [found["published"]] = axis.plot(*_columns(published), "D", color=GREY, markersize=5, markerfacecolor="white")
    return found


def _lines(report: SuiteReport, place: Callable[[str, Cell], float | None]) -> tuple[Figure, list[Axes]]:
    """A line a row of the table, a panel a unit, one below the other; `place` says where on its axis a cell stands."""
    names = _axes(report)
    with figure_style(0.85, grid=True):
        figure, axes = pyplot.subplots(len(names), figsize=(WIDTH, 3.6 * len(names)), squeeze=False, layout="constrained")
        handles: dict[str, Any] = {}
        published = False
        for axis, name in zip(axes.flat, names, strict=True):
            for number, row in enumerate(_measured(report)):
                points = [
                    (x, cell)
                    for column, cell in row.cells.items()
                    if _says(report, cell) == name and (x := place(column, cell)) is not None
                ]
                look = mark(number)
                published |= _published(axis, points, look)
                handles |= _line(axis, points, row.label, look)
            handles |= _guessing(report, axis, name)
            axis.set_ylabel(name)
        if published:
            plain: dict[str, Any] = {"color": GREY, "marker": "o", "markersize": 6}
            handles |= {"measured": Line2D([], [], **plain), "published": Line2D([], [], **plain, **_FADED)}
        legend_above(figure, handles)
    return figure, list(axes.flat)


def _line(axis: Axes, points: Sequence[tuple[float, Cell]], label: str, look: Mark) -> dict[str, Any]:
    """Draw what is measured of a row; what the legend says -> what stands before it."""
    measured = [(x, cell.mean) for x, cell in points if cell.mean is not None]
    if not measured:
        return {}
    errors = [(x, cell.mean, bar) for x, cell in points if cell.mean is not None and (bar := bar_length(cell))]
    if errors:
        x, y, length = _columns(errors)
        axis.errorbar(x, y, length, fmt="none", ecolor=look.colour, elinewidth=1.2, capsize=3)
    [drawn] = axis.plot(*_columns(measured), color=look.colour, marker=look.marker, markersize=6, linewidth=1.6)
    return {label: drawn}


def _published(axis: Axes, points: Sequence[tuple[float, Cell]], look: Mark) -> bool:
    """Draw what is published of a row; whether anything is."""
    found = [(x, cell.published) for x, cell in points if cell.published is not None]
    if found:
        axis.plot(*_columns(found), color=look.colour, marker=look.marker, markersize=6, **_FADED)
    return bool(found)


def _guessing(report: SuiteReport, axis: Axes, name: str) -> dict[str, Line2D]:
    found: dict[str, Line2D] = {}
    for said, chance in chance_lines(cell_chances(report), name).items():
        found |= chance_line(axis, said, chance)
    return found


def _measured(report: SuiteReport) -> list[Row]:
    return [row for row in report.rows if row.measured]


def _filled(report: SuiteReport) -> list[str]:
    """The columns in which a measured row has a figure."""
    cells = [(column, cell) for row in _measured(report) for column, cell in row.cells.items()]
    filled = {column for column, cell in cells if cell.mean is not None or cell.published is not None}
    return [column for column in report.columns if column in filled]


def _axes(report: SuiteReport) -> list[str]:
    return axes_of((cell for row in _measured(report) for cell in row.measured.values()), report.suite["measure"])


def _says(report: SuiteReport, cell: Cell) -> str:
    """What the axis says on which a cell stands."""
    return axis_label(report.suite["measure"], *cell.kind)


def _columns(points: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Points to x, y, and what else they have."""
    return list(zip(*points, strict=True))


def _shown(report: SuiteReport, figure: Figure, caption: str) -> ReportFigure:
    rows = _measured(report)
    cells = [cell for row in rows for cell in row.cells.values()]
    read = table_in_words(rows, report.columns)
    guessing = [f" {said[0].upper()}{said[1:]}." for name in _axes(report) for said in chance_lines(cell_chances(report), name)]
    return ReportFigure(figure, f"{caption}{sentence_on_bars(cells)}", read + "".join(guessing))
