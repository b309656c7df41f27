"""Pictures of which rotated copies pass for upright."""

import numpy as np
import seaborn as sns
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.inspection_plots import picture_rows
from rotnet_lib.stages.pu_weights import PuOutcome

_BINS = 25
_BARS = 40
"""Classes that are drawn; of more, those with the most and the least plausible copies, half each."""


def plausibility_histogram(outcome: PuOutcome) -> Figure:
    """How often each p is found among the rotated copies, a line an angle; the counts run over orders of magnitude."""
    edges = np.linspace(0, 1, _BINS + 1)
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        for (angle, p), colour in zip(outcome.rotated.items(), sns.color_palette(), strict=False):
            counts, _ = np.histogram(p, edges)
            share = 100 * float((p > 0.5).mean())
            axis.stairs(counts, edges, label=f"{angle:g}°: {share:.2f} % above 0.5", color=colour, linewidth=1.6)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set(xlabel="p, the probability of being upright", ylabel="rotated copies", xlim=(0, 1))
        axis.legend(title="rotated by")
    return figure


def plausible_copies(outcome: PuOutcome) -> Figure:
    """The rotated copies that pass for upright most, as the network saw them."""
    captions = [f"by {copy.angle:g}°, p {copy.p:.2f}\n{copy.index}: {copy.name}" for copy in outcome.copies]
    heading = "Rotated copies that look most like upright images, the surest first"
    return picture_rows([copy.pixels for copy in outcome.copies], captions, heading)


def plausibility_by_class(outcome: PuOutcome) -> Figure:
    """Mean p of the rotated copies by class, the highest first: whose being turned is hardest to see."""
    means = sorted(outcome.result.by_target["upright"].items(), key=lambda item: -item[1])
    shown = means if len(means) <= _BARS else means[: _BARS // 2] + means[-_BARS // 2 :]
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 1.0 + 0.24 * len(shown)), layout="constrained")
        sns.barplot(x=[mean for _, mean in shown], y=[name for name, _ in shown], color=sns.color_palette()[0], ax=axis)
        overall = outcome.result.metrics["upright"].last
        axis.axvline(overall, color="0.3", linestyle="--", linewidth=1, label=f"all rotated copies: {overall:.2f} %")
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, frameon=False)  # above: bars may be long
        left_out = f" ({len(means) - len(shown)} classes between them left out)" if len(shown) < len(means) else ""
        axis.set(xlabel=f"mean p of the rotated copies (%){left_out}", ylabel="")
    return figure
