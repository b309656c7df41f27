"""Figures of one number a class, and of precision against recall, for the VOC notebooks."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib import pyplot

from rotnet_lib.report.figure_style import COLOURS, figure_style
from rotnet_lib.report.figure_words import one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import chance_line

_DPI = 90
_POINTS = 300
"""Of a curve, at most: more lie closer than a pixel, and each is in the page's file."""
_ACROSS = 5
"""Panels a row."""


def ap_bars(
    by_class: Mapping[str, float], label: str = "average precision (%)", *, chance: float | None = None
) -> ReportFigure:
    """A bar a class with its value, from the highest to the lowest, and their mean as a line.

    Args:
        by_class: percent.
        label: of the axis.
        chance: what guessing gives for the mean, percent; None: not known.
    """
    ordered = dict(sorted(by_class.items(), key=lambda entry: -entry[1]))
    mean = float(np.mean(list(ordered.values())))
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(max(4.0, 1.6 + 0.42 * len(ordered)), 3.0), dpi=_DPI)
        bars = axis.bar(list(ordered), list(ordered.values()), color=COLOURS[0])
    values = axis.bar_label(bars, fmt="%.1f", padding=1, fontsize="x-small")
    pyplot.setp(values, zorder=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})  # the mean may run through
    axis.grid(visible=False, axis="x")
    handles: dict[str, Any] = {f"mean {mean:.1f}": axis.axhline(mean, color=COLOURS[1])}
    if chance is not None:
        handles |= chance_line(axis, f"chance of the mean {chance:.1f}", chance)
    axis.legend(list(handles.values()), list(handles), loc="upper right", frameon=True)
    axis.set_ylabel(label)
    axis.set_ylim(0, 1.12 * max(*ordered.values(), mean, 1))
    if len(ordered) > 10:
        axis.tick_params("x", rotation=90)
    else:  # slanted names end below their bars
        pyplot.setp(axis.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")
    sns.despine(figure)
    figure.tight_layout()
    what = label.removesuffix(" (%)")
    return ReportFigure(
        figure,
        f"{what[0].upper()}{what[1:]} by class, the highest first.",
        f"Bars: {values_by_name(ordered)}. Mean {mean:.2f} %." + (f" Chance {chance:.2f} %." if chance is not None else ""),
    )


def pr_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> ReportFigure:
    """A small panel a class: precision against recall, a point holding for the recalls since the point before it.

    Args:
        curves: class -> recall and precision, each (n,) in [0, 1], recall rising or falling. A class without a point, of which
            nothing was found, has an empty panel.
    """
    columns = min(_ACROSS, len(curves))
    rows = math.ceil(len(curves) / columns)
    with figure_style(0.7, grid=True):
        figure, axes = pyplot.subplots(
            rows,
            columns,
            figsize=(1.2 + 1.5 * columns, 0.6 + 1.5 * rows),
            dpi=_DPI,
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
    for axis, (name, (recall, precision)) in zip(axes.flat, curves.items(), strict=False):
        rising = slice(None, None, -1) if len(recall) and recall[0] > recall[-1] else slice(None)
        x, y = _thinned(recall[rising], precision[rising])
        axis.plot(x, y, drawstyle="steps-pre", linewidth=1.2)
        axis.fill_between(x, y, step="pre", alpha=0.15)
        axis.set(title=name, xlim=(0, 1.02), ylim=(0, 1.05))
        axis.set_yticks((0, 0.5, 1), ("0", "0.5", "1"))
        axis.set_xticks(
            (0, 0.5, 1), ("0", "0.5", "1")
        )  # so short that the last of a panel does not touch the first of the next
    for axis in axes.flat[max(0, len(curves) - columns) : len(curves)]:  # those without a panel below
        axis.tick_params(labelbottom=True)
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    figure.supxlabel("recall", fontsize="medium")
    figure.supylabel("precision", fontsize="medium")
    furthest = one_by_one(
        f"{name} {max(recall):.2f}" if len(recall) else f"{name} none" for name, (recall, _) in curves.items()
    )
    return ReportFigure(
        figure, "Precision against recall by class.", f"A curve for each class. The highest recall reached: {furthest}."
    )


def _thinned(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve whose recall rises, as it is, or of many points the last one of each 300th of recall."""
    if len(recall) <= _POINTS:
        return recall, precision
    step = np.minimum((recall * _POINTS).astype(int), _POINTS - 1)
    last = np.append(step[1:] != step[:-1], True)
    return recall[last], precision[last]
