"""Accuracy by layer of one run, as a picture."""

from typing import Any

from matplotlib import pyplot

from rotnet_lib.report.figure_style import COLOURS, figure_style
from rotnet_lib.report.figure_words import values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import RunResult


def layer_bars(result: RunResult) -> ReportFigure:
    """A bar for each layer's accuracy (`<layer>_top1`), with its figure, and a line at what guessing gives."""
    accuracies = {name.removesuffix("_top1"): metric for name, metric in result.metrics.items()}
    chances = dict.fromkeys(metric.chance for metric in accuracies.values() if metric.chance is not None)
    errors = [metric.standard_error for metric in accuracies.values()]
    known = any(error is not None for error in errors)
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        bars = axis.bar(
            list(accuracies),
            [metric.last for metric in accuracies.values()],
            width=0.7,
            yerr=[float("nan") if error is None else error for error in errors] if known else None,
            color=COLOURS[0],
            error_kw={"elinewidth": 1.2, "capsize": 3},
        )
        axis.bar_label(bars, fmt="%.2f", padding=2)
        handles: dict[str, Any] = {}
        for chance in chances:
            handles |= chance_line(axis, f"guessing: {with_unit(chance)}", chance, across=True)
        legend_above(figure, handles)
        highest = max(*(metric.last for metric in accuracies.values()), *chances, 1.0)
        axis.set(ylabel="accuracy (%)", ylim=(0, 1.14 * highest))  # room for the figure on the highest bar
        axis.grid(visible=False, axis="x")
    guessing = "".join(f" Guessing gives {with_unit(chance)}." for chance in chances)
    reach = " Error bars reach one standard error (of the images) to both sides." if known else ""
    found = values_by_name({name: metric.last for name, metric in accuracies.items()})
    return ReportFigure(figure, f"Accuracy by layer on {result.data.tested_on}.{reach}", f"Bars: {found}.{guessing}")
