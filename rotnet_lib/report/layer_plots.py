"""Accuracy by layer of one run, as a picture."""

import seaborn as sns
from matplotlib import pyplot

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import RunResult


def layer_bars(result: RunResult) -> ReportFigure:
    """A bar for each layer's accuracy (`<layer>_top1`), with its figure, and a line at what guessing gives."""
    accuracies = {name.removesuffix("_top1"): metric for name, metric in result.metrics.items()}
    chances = {metric.chance for metric in accuracies.values() if metric.chance is not None}
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        sns.barplot(
            x=list(accuracies),
            y=[metric.last for metric in accuracies.values()],
            color=sns.color_palette()[0],
            errorbar=None,
            ax=axis,
        )
        for bars in axis.containers:
            axis.bar_label(bars, fmt="%.2f", padding=2)  # type: ignore[arg-type]
        for chance in chances:
            axis.axhline(chance, color="0.3", linestyle="--", linewidth=1, label=f"guessing: {with_unit(chance)}")
        if chances:
            axis.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, frameon=False)  # above: bars may be long
        highest = max(*(metric.last for metric in accuracies.values()), *chances, 1.0)
        axis.set(ylabel="accuracy (%)", ylim=(0, 1.12 * highest))  # room for the figure on the highest bar
    guessing = "".join(f" Guessing gives {with_unit(chance)}." for chance in chances)
    found = values_by_name({name: metric.last for name, metric in accuracies.items()})
    return ReportFigure(figure, f"Accuracy by layer on {result.data.tested_on}.", f"Bars: {found}.{guessing}")
