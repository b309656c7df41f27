"""Pictures of a suite."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from rotnet_lib.report.cells import Row
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.suite_report import SuiteReport

_PUBLISHED, _MEASURED = "published", "measured, a dot a seed"


def picture(report: SuiteReport) -> Figure | None:
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


def compare_rows(rows: list[Row], measure: str = "top1") -> Figure:
    """Published figure and every measured seed of rows of one column, percent."""
    value = f"{measure} (%)"
    cells = {row.label: cell for row in rows for cell in row.cells.values()}
    points = [(label, value, _MEASURED) for label, cell in cells.items() for value in cell.values]
    points += [(label, cell.published, _PUBLISHED) for label, cell in cells.items() if cell.published is not None]
    frame = pd.DataFrame(points, columns=["row", value, "figure"])
    shown = [figure for figure in (_PUBLISHED, _MEASURED) if figure in set(frame["figure"])]
    with figure_style(0.85, grid=True):
        grid = sns.catplot(
            frame,
            kind="strip",
            x=value,
            y="row",
            order=[row.label for row in rows],
            hue="figure",
            hue_order=shown,
            palette=[{_PUBLISHED: "#9aa4b0", _MEASURED: "#0b62c4"}[figure] for figure in shown],
            jitter=False,
            size=8,
            height=0.36 * len(rows) + 0.8,
            aspect=8 / (0.36 * len(rows) + 0.8),
        )
    grid.set_ylabels("")
    grid.ax.yaxis.grid(True)
    sns.move_legend(grid, "lower center", bbox_to_anchor=(0.55, 1.0), ncol=2, title=None, frameon=False)
    return grid.figure


def compare_columns(report: SuiteReport) -> Figure:
    """Measured figures of each row over the columns (mean, band of one standard deviation), and published ones; percent."""
    frame = _figures(report)
    published = pd.DataFrame(
        [
            (row.label, report.columns[column], cell.published, _PUBLISHED)
            for row in report.rows
            for column, cell in row.cells.items()
            if cell.published is not None and row.measured
        ],
        columns=["row", "column", _value(report), "figure"],
    )
    if published.empty:
        return _lines(frame, _value(report))
    frame = pd.concat([frame.assign(figure="measured"), published], ignore_index=True)
    return _lines(frame, _value(report), style="figure")


def curves(report: SuiteReport) -> Figure:
    """Measured figures of each row over what the columns count (mean, band of one standard deviation), percent."""
    assert report.axis
    figure = _lines(_figures(report), _value(report), x="x")
    axis = figure.axes[0]
    axis.set_xlabel(report.axis.title)
    places = sorted({cell.x for row in report.rows for cell in row.measured.values() if cell.x is not None})
    if report.axis.logarithmic:
        axis.set_xscale("log")
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.minorticks_off()
    return figure


def bars(report: SuiteReport) -> Figure:
    """Figures of each row by column (class, task), a bar for the mean and a line of one standard deviation, percent."""
    with figure_style(0.85, grid=True):
        grid = sns.catplot(
            _figures(report),
            kind="bar",
            x="column",
            y=_value(report),
            hue="row",
            errorbar="sd",
            height=3.2,
            aspect=2.6,
            legend_out=False,
        )
    grid.set_xlabels("")
    plt.setp(grid.ax.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")
    _legend_above(grid.ax)
    return grid.figure


def learning_curves(histories: pd.DataFrame) -> Figure | None:
    """Accuracy against epochs, not of the training images, a panel a run, a line a seed; None if no run has any."""
    if histories.empty:
        return None
    with figure_style(0.8, grid=True):
        grid = sns.relplot(
            histories,
            kind="line",
            x="epoch",
            y="top1",
            hue="seed",
            style="metric" if histories.groupby("run")["metric"].nunique().max() > 1 else None,
            palette="deep",
            col="run",
            col_wrap=4,
            height=2.1,
            aspect=1.15,
            legend=histories["seed"].nunique() > 1 and "full",
            facet_kws={"sharex": False, "sharey": False},
        )
    grid.set_titles("{col_name}").set_ylabels("top1 (%)")
    return grid.figure


def _figures(report: SuiteReport) -> pd.DataFrame:
    """Every measured seed of every cell: row, column, x, and the figure under `_value`."""
    return pd.DataFrame(
        [
            (row.label, report.columns[column], cell.x, value)
            for row in report.rows
            for column, cell in row.cells.items()
            for value in cell.values
        ],
        columns=["row", "column", "x", _value(report)],
    )


def _value(report: SuiteReport) -> str:
    """What the figures are, as an axis says it."""
    return f"{report.suite['measure']} (%)"


def _lines(frame: pd.DataFrame, value: str, *, x: str = "column", style: str | None = None) -> Figure:
    with figure_style(0.85, grid=True):
        figure, axis = plt.subplots(figsize=(8, 3.6))
        sns.lineplot(
            frame,
            x=x,
            y=value,
            hue="row",
            style=style,
            markers=["o", "X"] if style else None,
            marker=None if style else "o",
            errorbar="sd",
            ax=axis,
        )
    axis.set_xlabel("")
    _legend_above(axis)
    return figure


def _legend_above(axis: plt.Axes) -> None:
    sns.move_legend(axis, "lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, title=None, frameon=False)
