"""Which answers a network gives for which, and its surest mistakes."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot

from rotnet_lib.evaluation.seen import Confusion, Mistaken, Pair
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import one_by_one
from rotnet_lib.report.figures import ReportFigure

_NUMBERS = 20
"""Answers to choose from, up to which a heatmap has numbers; with more they would be too small to read."""
_BARS = 15
_ACROSS = 6
"""Images a row."""
_DPI = 90


def confusion_figure(confusion: Confusion, tested_on: str, whose: str = "") -> ReportFigure | None:
    """Which answer is given for which, in percent of the true one: a heatmap, without numbers where there are many answers.

    Of more than 100 answers to choose from, bars of the pairs that are mistaken most; None where there is no mistake then.

    Args:
        confusion: of a run.
        tested_on: where the images are from, such as `the test split`.
        whose: whose answers they are where a run has several, such as ` of the classifier on conv2`.
    """
    if confusion.counts is None:
        return pairs_figure(confusion.pairs, tested_on, whose)
    counts = np.array(confusion.counts, dtype=np.float64)
    asked = counts.sum(1, keepdims=True)
    percent = np.divide(100 * counts, asked, out=np.zeros_like(counts), where=asked > 0)
    names, numbers = confusion.names, len(confusion.names) <= _NUMBERS
    side = 1.6 + (0.52 if numbers else 0.16) * len(names)
    with figure_style(0.75):
        figure, axis = pyplot.subplots(figsize=(side + 0.8, side), dpi=_DPI, layout="constrained")
        sns.heatmap(
            percent,
            vmin=0,
            vmax=100,
            cmap="Blues",
            annot=numbers,
            fmt=".0f" if len(names) > 6 else ".1f",
            cbar=not numbers,
            square=True,
            linewidths=0.5 if numbers else 0,
            xticklabels=names,
            yticklabels=names,
            ax=axis,
        )
        axis.tick_params(length=0)
        axis.tick_params("y", rotation=0)
        axis.tick_params("x", rotation=90 if len(names) > 6 else 0)
        axis.set(xlabel="answer", ylabel="true")
    right = one_by_one(f"{name} {share:.1f} %" for name, share in zip(names, percent.diagonal(), strict=True))
    return ReportFigure(
        figure,
        f"Which answer is given for which{whose} on {tested_on}, in percent of each true one; on the diagonal it is right.",
        f"Heatmap of {len(names)} by {len(names)}. Right: {right}. Most mistaken: {_most(confusion.pairs)}.",
        bitmap=not numbers,  # thousands of cells are megabytes as vectors
    )


def pairs_figure(pairs: Sequence[Pair], tested_on: str, whose: str = "") -> ReportFigure | None:
    """The wrong answers that are given most, a bar each, in percent of the true one; None where there are none.

    Args:
        pairs: those of `Confusion`.
        tested_on, whose: as of `confusion_figure`.
    """
    shown = pairs[:_BARS]
    if not shown:
        return None
    labels = [f"{pair.true} taken for {pair.said}" for pair in shown]
    with figure_style(0.8, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 0.8 + 0.26 * len(shown)), layout="constrained")
        axis.barh(range(len(shown)), [100 * pair.count / pair.of for pair in shown], color=sns.color_palette()[0])
        axis.set_yticks(range(len(shown)), labels)
        axis.invert_yaxis()
        axis.set_xlabel("percent of the true one's inputs")
    return ReportFigure(
        figure, f"The wrong answers that are given most{whose} on {tested_on}.", f"Bars. Most mistaken: {_most(pairs)}."
    )


def mistakes_figure(mistakes: Sequence[Mistaken], tested_on: str, whose: str = "") -> ReportFigure | None:
    """The images whose answer is wrong and surest, with the true class, the answer and its probability; None: there are none.

    Args:
        mistakes: the surest first.
        tested_on, whose: as of `confusion_figure`.
    """
    if not mistakes:
        return None
    rows = -(-len(mistakes) // _ACROSS)
    with figure_style(0.75):
        figure, axes = pyplot.subplots(
            rows, _ACROSS, figsize=(1.6 * _ACROSS, 2.05 * rows), dpi=_DPI, squeeze=False, layout="constrained"
        )
        for axis in axes.flat[len(mistakes) :]:
            axis.remove()
        for axis, found in zip(axes.flat, mistakes, strict=False):  # the last row may not be full
            axis.imshow(found.picture.pixels, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"true: {found.true}\nsaid: {found.said}\n{100 * found.probability:.1f} % sure")
    read = one_by_one(f"a {found.true} taken for {found.said} at {100 * found.probability:.1f} %" for found in mistakes)
    return ReportFigure(
        figure,
        f"The surest mistakes{whose} on {tested_on}: the true class, the answer, and the probability it was given with.",
        f"{len(mistakes)} images: {read}.",
        bitmap=True,
    )


def _most(pairs: Sequence[Pair]) -> str:
    """`cat taken for dog 12 of 100, ...`; `none`."""
    return one_by_one(f"{pair.true} taken for {pair.said} {pair.count} of {pair.of}" for pair in pairs[:5]) or "none"
