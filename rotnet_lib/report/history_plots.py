"""Learning curves of a suite's runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rotnet_lib.report.figure_style import WIDTH, Mark, figure_style, mark, wrapped
from rotnet_lib.report.figure_words import course, one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import Limits, chance_line, legend_above
from rotnet_lib.report.run_title import network_title
from rotnet_lib.report.suite_report import SuiteReport

_ACROSS = 4
"""Panels a row."""
_TITLE = 26
"""Characters of a title's line."""
_DASHES = ("-", "--", "-.", ":")
_DOTS = 10
"""Markers on a long curve, about."""


@dataclass(frozen=True)
class _Panel:
    """The curves of one run in one unit.

    Attributes:
        title: the label of the row that the run is; of others their network or key.
        measure: what its axis says.
        lines: metric, seed, epochs and the values after them.
        chances: what guessing gives in them.
    """

    title: str
    measure: str
    lines: list[tuple[str, int, list[int], list[float]]]
    chances: list[float]


def learning_curves(report: SuiteReport) -> ReportFigure | None:
    """Figures against epochs, not of the training images, a panel a run and unit; None if no run has any.

    All panels of a unit have one axis. A colour and marker stands for a metric (a layer) where a panel has several, and then
    a dash for a seed; else they stand for a seed.
    """
    histories = report.histories
    if histories.empty:
        return None
    panels = [
        _panel(report, str(measure), str(run), found)
        for (measure, run), found in histories.groupby(["measure", "run"], sort=False)
    ]
    by_measure: dict[str, list[_Panel]] = {}
    for panel in panels:
        by_measure.setdefault(panel.measure, []).append(panel)
    across = min(_ACROSS, max(map(len, by_measure.values())))
    rows = [shown[start : start + across] for shown in by_measure.values() for start in range(0, len(shown), across)]
    limits = {measure: _limits(shown) for measure, shown in by_measure.items()}
    looks, several = _looks(panels)
    height = 1.6 + 0.14 * max(1 + panel.title.count("\n") for panel in panels)
    with figure_style(0.75, grid=True):
        size = (WIDTH * max(across, 2) / _ACROSS, height * len(rows))
        figure, axes = pyplot.subplots(len(rows), across, figsize=size, squeeze=False, layout="constrained")
        handles: dict[str, Any] = {}
        for line, shown in zip(axes, rows, strict=True):
            for axis in line[len(shown) :]:
                axis.remove()
            for axis, panel in zip(line, shown, strict=False):
                handles |= _draw(axis, panel, looks)
                axis.set(title=panel.title, ylim=limits[panel.measure], xlabel="epoch")
                axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
                axis.tick_params(labelleft=axis is line[0])
            line[0].set_ylabel(shown[0].measure)
        legend_above(figure, handles)
    seeds = len({seed for panel in panels for _, seed, *_ in panel.lines}) > 1
    what = (
        ", one line per metric and seed"
        if several and seeds
        else ", one line per metric"
        if several
        else ", one line per seed"
        if seeds
        else ""
    )
    shared = " Panels of the same unit share an axis." if len(panels) > 1 else ""
    read = one_by_one(
        f"{' '.join(panel.title.split())}, {metric}, seed {seed}: {course(values, '')}"
        for panel in panels
        for metric, seed, _, values in panel.lines
    )
    return ReportFigure(figure, f"Each run after each epoch{what}.{shared}", f"Curves. {read}.")


def _panel(report: SuiteReport, measure: str, run: str, found: pd.DataFrame) -> _Panel:
    metrics = [entry.result.metrics for entry in report.runs if entry.key == run and entry.result]
    shown = set(found["metric"])
    known = (value.chance for values in metrics for name, value in values.items() if name in shown)
    return _Panel(
        wrapped(_title(report, run), _TITLE),
        measure,
        [
            (str(metric), int(str(seed)), line["epoch"].tolist(), line["value"].tolist())
            for (metric, seed), line in found.groupby(["metric", "seed"], sort=False)
        ],
        list(dict.fromkeys(chance for chance in known if chance is not None)),
    )


def _title(report: SuiteReport, run: str) -> str:
    """The label of the one row that a run is, with the column or the run's key where the row has several runs.

    Of a run of no row its network and key, of one in several rows its key.
    """
    rows = [row for row in report.suite["rows"] if run in {cell["run"] for cell in row["cells"].values()}]
    if not rows:
        made = next((entry.result.parameters for entry in report.runs if entry.key == run and entry.result), {})
        return f"{network_title(made['task'], made['arch'])} ({run})" if {"task", "arch"} <= made.keys() else run
    if len(rows) > 1:
        return run
    label, cells = str(rows[0]["label"]), rows[0]["cells"]
    columns = [column for column, cell in cells.items() if cell["run"] == run]
    if len(columns) == len(cells):
        return label
    return f"{label}: {report.columns[columns[0]]}" if len(columns) == 1 else f"{label} ({run})"


def _limits(panels: Sequence[_Panel]) -> Limits:
    """The range of all curves and of guessing, with some room."""
    values = [value for panel in panels for _, _, _, line in panel.lines for value in line]
    values += [chance for panel in panels for chance in panel.chances]
    low, high = min(values), max(values)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room


def _looks(panels: Sequence[_Panel]) -> tuple[dict[tuple[str, int], tuple[str, Mark, str]], bool]:
    """Metric and seed -> what the legend says (nothing where no line could be another), the marks and the dash.

    And whether some panel has several metrics.
    """
    several = any(len({metric for metric, *_ in panel.lines}) > 1 for panel in panels)
    metrics = list(dict.fromkeys(metric for panel in panels for metric, *_ in panel.lines))
    seeds = sorted({seed for panel in panels for _, seed, *_ in panel.lines})
    found = {}
    for metric in metrics:
        for place, seed in enumerate(seeds):
            behind = f"seed {seed}" if len(seeds) > 1 else ""
            if several:
                said = ", ".join(filter(None, [metric.removesuffix("_top1"), behind]))
                found[metric, seed] = (said, mark(metrics.index(metric)), _DASHES[place % len(_DASHES)])
            else:
                found[metric, seed] = (behind, mark(place), "-")
    return found, several


def _draw(axis: Axes, panel: _Panel, looks: dict[tuple[str, int], tuple[str, Mark, str]]) -> dict[str, Any]:
    """Draw a panel's lines; what the legend says -> what stands before it."""
    handles: dict[str, Any] = {}
    for metric, seed, epochs, values in panel.lines:
        said, look, dash = looks[metric, seed]
        [line] = axis.plot(
            epochs,
            values,
            color=look.colour,
            marker=look.marker,
            linestyle=dash,
            markersize=4,
            linewidth=1.3,
            markevery=max(1, len(epochs) // _DOTS),
        )
        handles |= {said: line} if said else {}
    for chance in panel.chances:
        handles |= chance_line(axis, "chance", chance)
    return handles
