"""Pictures of which rotated copies look upright."""

import numpy as np
import seaborn as sns
from matplotlib import pyplot
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from rotnet_lib.report.figure_style import COLOURS, GREY, figure_style, mark
from rotnet_lib.report.figure_words import one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.inspection_plots import picture_rows
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.stages.pu_weights import PuOutcome

_BINS = 25
_DASHES = ("-", "--", "-.", ":")
_BARS = 40
"""Classes that are drawn; of more, those with the most and the least plausible copies, half each."""


def plausibility_histogram(outcome: PuOutcome) -> ReportFigure:
    """How often each p is found among the rotated copies, one line per angle; the counts run over orders of magnitude."""
    edges = np.linspace(0, 1, _BINS + 1)
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        for number, (angle, p) in enumerate(outcome.rotated.items()):
            counts, _ = np.histogram(p, edges)
            share = 100 * float((p > 0.5).mean())
            axis.stairs(
                counts,
                edges,
                label=f"{angle:g}°: {share:.2f} % above 0.5",
                color=mark(number).colour,
                linewidth=1.6,
                linestyle=_DASHES[number % len(_DASHES)],
            )
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set(xlabel="p, the probability of being upright", ylabel="rotated copies", xlim=(0, 1))
        axis.legend(title="rotated by")
    above = one_by_one(f"by {angle:g}° {100 * float((p > 0.5).mean()):.2f} %" for angle, p in outcome.rotated.items())
    return ReportFigure(
        figure,
        "How many rotated copies have which probability p of being upright, by the angle they are turned by.",
        f"A histogram for each angle, its counts on a logarithmic scale. Above 0.5 lie of the copies turned {above}.",
    )


def plausible_copies(outcome: PuOutcome) -> ReportFigure:
    """The rotated copies that look upright most, as the network saw them."""
    captions = [f"by {copy.angle:g}°, p {copy.p:.2f}\n{copy.index}: {copy.name}" for copy in outcome.copies]
    return ReportFigure(
        picture_rows([copy.pixels for copy in outcome.copies], captions),
        "The rotated copies that look most like upright images, the surest first: by how much each is turned and its p, then "
        "the image's number in the training split and its class.",
        "Images: " + one_by_one(f"{copy.name} turned by {copy.angle:g}° (p {copy.p:.2f})" for copy in outcome.copies) + ".",
        bitmap=True,
    )


def plausibility_by_class(outcome: PuOutcome) -> ReportFigure:
    """Mean p of the rotated copies by class, the highest first: whose being turned is hardest to see."""
    means = sorted(outcome.result.by_target["upright"].items(), key=lambda item: -item[1])
    shown = means if len(means) <= _BARS else means[: _BARS // 2] + means[-_BARS // 2 :]
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 1.0 + 0.24 * len(shown)), layout="constrained")
        sns.barplot(x=[mean for _, mean in shown], y=[name for name, _ in shown], color=COLOURS[0], ax=axis)
        overall = outcome.result.metrics["upright"].last
        axis.axvline(overall, color=GREY, linestyle="--", linewidth=1, label=f"all rotated copies: {overall:.2f} %")
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, frameon=False)  # above: bars may be long
        left_out = f" ({len(means) - len(shown)} classes between them left out)" if len(shown) < len(means) else ""
        axis.set(xlabel=f"mean p of the rotated copies (%){left_out}", ylabel="")
    return ReportFigure(
        figure,
        "Mean p of the rotated copies by class, the highest first.",
        f"Bars: {values_by_name(dict(shown))}. All rotated copies: {with_unit(overall)}.",
    )
