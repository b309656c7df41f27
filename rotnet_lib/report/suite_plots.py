"""Pictures of a suite."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import course, one_by_one, table_in_words
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import axis_label

_PUBLISHED, _MEASURED = "published", "measured, a dot a seed"
_DOTS = {_PUBLISHED: "the published figure", _MEASURED: "what was measured, a dot a seed"}


def picture(report: SuiteReport) -> ReportFigure | None:
    """The suite's figure: curves where its columns count something, bars by class or by task, else lines over the columns.

    None if nothing is measured.
    """
    if not any(row.measured for row in report.rows):
        return None
    if report.axis:
        return curves(report)
    if report.separate or any(row["by_target"] for row in report.suite["rows"]):
        return bars(report)
    return compare_rows(report.rows, report.suite["measure"]) if len(report.columns) == 1 else compare_columns(report)


def compare_rows(rows: list[Row], measure: str = "top1", caption: str | None = None) -> ReportFigure:
    """Published figure and every measured seed of rows of one column; a panel a unit where they have several.

    Args:
        rows: of one column each.
        measure: what an axis says of percentages.
        caption: of the figure; None: which rows and dots there are.
    """
    cells = {row.label: cell for row in rows for cell in row.cells.values()}
    names = _measures(cells.values(), measure)
    of_rows = {label: axis_label(measure, *cell.kind) for label, cell in cells.items()}
    points = [(label, of_rows[label], value, _MEASURED) for label, cell in cells.items() for value in cell.values]
    points += [
        (label, of_rows[label], cell.published, _PUBLISHED) for label, cell in cells.items() if cell.published is not None
    ]
    frame = pd.DataFrame(points, columns=["row", "measure", "value", "figure"])
    frame = frame[frame["measure"].isin(names)]  # what is published alone is of another unit than any run's
    shown = [figure for figure in (_PUBLISHED, _MEASURED) if figure in set(frame["figure"])]
    with figure_style(0.85, grid=True):
        grid = sns.catplot(
            frame,
            kind="strip",
            x="value",
            y="row",
            order=[row.label for row in rows],
            col="measure" if len(names) > 1 else None,
            col_order=names if len(names) > 1 else None,
            sharex=len(names) == 1,
            hue="figure",
            hue_order=shown,
            palette=[{_PUBLISHED: "#9aa4b0", _MEASURED: "#0b62c4"}[figure] for figure in shown],
            jitter=False,
            size=8,
            height=0.36 * len(rows) + 0.8,
            aspect=8 / len(names) / (0.36 * len(rows) + 0.8),
        )
    grid.set_titles("").set_ylabels("")
    for axis, name in zip(grid.axes.flat, names, strict=True):
        axis.set_xlabel(name)
        axis.yaxis.grid(True)
    sns.move_legend(grid, "lower center", bbox_to_anchor=(0.55, 1.0), ncol=2, title=None, frameon=False)
    caption = caption or f"Every row of the table: {' and '.join(dict.fromkeys(_DOTS[figure] for figure in shown))}."
    read = table_in_words(rows, dict.fromkeys((column for row in rows for column in row.cells), ""))
    return ReportFigure(grid.figure, caption, f"Dots on a common axis, a line a row. {read}")


def compare_columns(report: SuiteReport) -> ReportFigure:
    """Measured figures of each row over the columns (mean, band of one standard deviation), and published ones."""
    frame = _figures(report)
    published = pd.DataFrame(
        [
            (row.label, report.columns[column], axis_label(report.suite["measure"], *cell.kind), cell.published, _PUBLISHED)
            for row in report.rows
            for column, cell in row.cells.items()
            if cell.published is not None and row.measured
        ],
        columns=["row", "column", "measure", "value", "figure"],
    )
    caption = "Each measured row over the columns of the table: the mean, in a band of one standard deviation over seeds"
    if published.empty:
        return ReportFigure(_lines(frame), f"{caption}.", _read(report))
    frame = pd.concat([frame.assign(figure="measured"), published], ignore_index=True)
    return ReportFigure(_lines(frame, style="figure"), f"{caption}, and the published figures.", _read(report))


def curves(report: SuiteReport) -> ReportFigure:
    """Measured figures of each row over what the columns count (mean, band of one standard deviation)."""
    assert report.axis
    figure = _lines(_figures(report), x="x")
    places = sorted({cell.x for row in report.rows for cell in row.measured.values() if cell.x is not None})
    for axis in figure.axes:
        axis.set_xlabel(report.axis.title)
        if report.axis.logarithmic:
            axis.set_xscale("log")
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.minorticks_off()
    return ReportFigure(
        figure,
        f"Each row against {report.axis.title}: the mean, in a band of one standard deviation over seeds.",
        _read(report),
    )


def bars(report: SuiteReport) -> ReportFigure:
    """Figures of each row by column (class, task), a bar for the mean and a line of one standard deviation."""
    frame = _figures(report)
    names = list(dict.fromkeys(frame["measure"]))
    with figure_style(0.85, grid=True):
        grid = sns.catplot(
            frame,
            kind="bar",
            x="column",
            y="value",
            hue="row",
            errorbar="sd",
            row="measure" if len(names) > 1 else None,
            sharey=len(names) == 1,
            sharex=len(names) == 1,
            height=3.2,
            aspect=2.6,
            legend_out=False,
        )
    grid.set_titles("").set_xlabels("")
    for axis, name in zip(grid.axes.flat, names, strict=True):
        axis.set_ylabel(name)
        plt.setp(axis.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")
    _legend_above(grid.axes.flat[0])
    return ReportFigure(
        grid.figure, "Each row by column: a bar for the mean, a line for one standard deviation over seeds.", _read(report)
    )


def learning_curves(report: SuiteReport) -> ReportFigure | None:
    """Figures against epochs, not of the training images, a panel a run and unit, a line a seed; None if no run has any."""
    histories = report.histories
    if histories.empty:
        return None
    names = list(dict.fromkeys(histories["measure"]))
    one = len(names) == 1
    histories = histories.assign(panel=histories["run"] if one else histories["run"] + "\n" + histories["measure"])
    with figure_style(0.8, grid=True):
        grid = sns.relplot(
            histories,
            kind="line",
            x="epoch",
            y="value",
            hue="seed",
            style="metric" if histories.groupby("panel")["metric"].nunique().max() > 1 else None,
            palette="deep",
            col="panel",
            col_wrap=4,
            height=2.1,
            aspect=1.15,
            legend=histories["seed"].nunique() > 1 and "full",
            facet_kws={"sharex": False, "sharey": False},
        )
    grid.set_titles("{col_name}").set_ylabels(names[0] if one else "")
    lines = histories.groupby(["run", "metric", "seed"], sort=False)["value"]
    read = one_by_one(f"{run}, {metric}, seed {seed}: {course(values.tolist(), '')}" for (run, metric, seed), values in lines)
    return ReportFigure(grid.figure, "The figures of every run after each of its epochs, a line a seed.", f"Curves. {read}.")


def _read(report: SuiteReport) -> str:
    return table_in_words([row for row in report.rows if row.measured], report.columns)


def _figures(report: SuiteReport) -> pd.DataFrame:
    """Every measured seed of every cell: row, column, x, measure (as an axis says it), value."""
    return pd.DataFrame(
        [
            (row.label, report.columns[column], cell.x, axis_label(report.suite["measure"], *cell.kind), value)
            for row in report.rows
            for column, cell in row.cells.items()
            for value in cell.values
        ],
        columns=["row", "column", "x", "measure", "value"],
    )


def _measures(cells: Iterable[Cell], measure: str) -> list[str]:
    """What the axes of figures say, an axis a unit; of what runs measure, where there is any."""
    cells = list(cells)
    return list(dict.fromkeys(axis_label(measure, *cell.kind) for cell in [c for c in cells if c.values] or cells))


def _lines(frame: pd.DataFrame, *, x: str = "column", style: str | None = None) -> Figure:
    """A line a row of the table, a panel a unit, one below the other."""
    names = list(dict.fromkeys(frame["measure"]))
    with figure_style(0.85, grid=True):
        figure, axes = plt.subplots(len(names), figsize=(8, 3.6 * len(names)), squeeze=False)
        for axis, name in zip(axes.flat, names, strict=True):
            sns.lineplot(
                frame[frame["measure"] == name],
                x=x,
                y="value",
                hue="row",
                style=style,
                markers=["o", "X"] if style else None,
                marker=None if style else "o",
                errorbar="sd",
                ax=axis,
            )
            axis.set(xlabel="", ylabel=name)
            _legend_above(axis)
    if len(names) > 1:
        figure.tight_layout()
    return figure


def _legend_above(axis: plt.Axes) -> None:
    sns.move_legend(axis, "lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, title=None, frameon=False)
