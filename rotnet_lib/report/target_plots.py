"""Accuracy by true label (class, rotation) of a run: bars, or of several layers a heatmap."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from rotnet_lib.report.figure_style import GREY, WIDTH, figure_style, mark
from rotnet_lib.report.figure_words import one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.runs.metrics import PERCENT, with_unit
from rotnet_lib.runs.sampling import sampling_error
from rotnet_lib.runs.schema import MetricValue, RunResult

_BESIDE = 2
"""Metrics up to which bars are compared more easily than the fields of a heatmap."""
_ANSWERS = 40
"""Right answers that are drawn, at most; of more, those with the highest and the lowest accuracy."""
_NUMBERED = 12
"""Bars that have their figure on top, at most."""
_SHARE = 0.82
"""Of the room for an answer, how much its bars take together."""


def target_figure(result: RunResult) -> ReportFigure | None:
    """Accuracy by true label (class, rotation): bars, or a heatmap where there are more than two metrics (layers).

    None for a task without answers to choose from.
    """
    found = {metric: values for metric, values in result.by_target.items() if values}
    if not found:
        return None
    answers = list(dict.fromkeys(name for values in found.values() for name in values))
    first = next(iter(found))
    shown = _ends(answers, found[first])
    on = f" on {first.removesuffix('_top1')}" if len(found) > 1 else ""
    left_out = (
        f" Of {len(answers):,} answers the {len(shown)} of the highest and the lowest accuracy{on} are drawn."
        if len(shown) < len(answers)
        else ""
    )
    draw = _bars if len(found) <= _BESIDE else _heatmap
    return draw(result, found, shown, left_out)


def _heatmap(result: RunResult, found: Mapping[str, Mapping[str, float]], shown: Sequence[str], left_out: str) -> ReportFigure:
    """A row an answer, the accuracy over all in the first, and a column a metric."""
    names = [metric.removesuffix("_top1") for metric in found]
    overall = [result.metrics[metric].last if metric in result.metrics else float("nan") for metric in found]
    rows = ["all together", *shown]
    shares = np.array([overall, *([values.get(answer, float("nan")) for values in found.values()] for answer in shown)])
    with figure_style(0.8):
        size = (min(WIDTH, 2.4 + 0.75 * len(names)), 0.7 + 0.27 * len(rows))
        figure, axis = plt.subplots(figsize=size, layout="constrained")
        look: dict[str, Any] = {"vmin": 0, "vmax": 100, "cmap": "Blues", "annot": True, "fmt": ".1f", "linewidths": 1}
        sns.heatmap(shares, xticklabels=names, yticklabels=rows, cbar=False, ax=axis, **look)
        axis.tick_params(length=0, labelbottom=False, labeltop=True)
        axis.tick_params("y", rotation=0)
        axis.axhline(1, color="black", linewidth=1.2)
    known = [_errors(result.metrics.get(metric), values, shown) or [] for metric, values in found.items()]
    errors = [error for of_metric in known for error in of_metric if not math.isnan(error)]
    reach = f"{min(errors):.1f} to {max(errors):.1f}" if errors else ""
    size_of = f" Standard errors (of the images) of an answer's figures: {reach} points." if errors else ""
    chances = dict.fromkeys(m.chance for name in found if (m := result.metrics.get(name)) and m.chance is not None)
    level = "".join(f" Chance: {with_unit(chance)}." for chance in chances)
    read = one_by_one((f"{metric}: {values_by_name(values)}." for metric, values in found.items()), between=" ")
    return ReportFigure(
        figure,
        f"Accuracy in percent by true label on {result.data.tested_on}.{left_out}{level}{size_of}",
        f"Heatmap of {len(rows)} by {len(names)}. {read}",
    )


def _bars(result: RunResult, found: Mapping[str, Mapping[str, float]], shown: Sequence[str], left_out: str) -> ReportFigure:
    """A bar an answer with its standard error; a colour and hatch a metric."""
    width = _SHARE / len(found)
    slanted = sum(map(len, shown)) > 70
    with figure_style(0.85, grid=True):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")
        handles: dict[str, Any] = {}
        for number, (metric, values) in enumerate(found.items()):
            known, look = [name for name in shown if name in values], mark(number)
            drawn = axis.bar(
                [shown.index(name) - _SHARE / 2 + (number + 0.5) * width for name in known],
                [values[name] for name in known],
                width,
                yerr=_errors(result.metrics.get(metric), values, known),
                color=look.colour,
                hatch=look.hatch,
                edgecolor="white",
                linewidth=0.5,
                error_kw={"elinewidth": 1.0, "capsize": 2},
            )
            if len(known) * len(found) <= _NUMBERED:
                axis.bar_label(drawn, fmt="%.1f", padding=1, fontsize="small")
            handles |= {metric.removesuffix("_top1"): drawn} if len(found) > 1 else {}
        handles |= _lines_across(axis, result, found)
        axis.set_xticks(range(len(shown)), shown)
        if slanted:
            upright = len(shown) > 12
            angle, place = (90, "center") if upright else (30, "top")
            plt.setp(axis.get_xticklabels(), rotation=angle, ha="right", va=place, rotation_mode="anchor")
        axis.grid(visible=False, axis="x")
        axis.set(ylabel="accuracy (%)", ylim=(0, 106), yticks=range(0, 101, 20))
        legend_above(figure, handles)
    read = one_by_one((f"{metric}: {values_by_name(values)}." for metric, values in found.items()), between=" ")
    bars = (
        " Error bars reach one standard error (of the images) to both sides."
        if any(map(_knows, result.metrics.values()))
        else ""
    )
    return ReportFigure(
        figure, f"Accuracy by true label on {result.data.tested_on}.{left_out}{bars}", f"Bars from 0 to 100 %. {read}"
    )


def _ends(answers: Sequence[str], values: Mapping[str, float]) -> list[str]:
    """All answers in their order, or of too many as many at both ends of the values, the highest first."""
    half = _ANSWERS // 2
    if len(answers) <= _ANSWERS:
        return list(answers)
    order = sorted(answers, key=lambda name: -values.get(name, 0.0))
    return order[:half] + order[-half:]


def _errors(metric: MetricValue | None, values: Mapping[str, float], names: Sequence[str]) -> list[float] | None:
    """The sampling error of each figure, NaN where it is not known of how many images it is; None if of none."""
    if metric is None or not _knows(metric):
        return None
    images = metric.target_images
    return [sampling_error(values[name], images[name]) if images.get(name) else float("nan") for name in names]


def _knows(metric: MetricValue) -> bool:
    """Whether it is known of how many images the figures by target are."""
    return any(metric.target_images.values())


def _lines_across(axis: Axes, result: RunResult, found: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the accuracy over all answers, of one metric, and what guessing gives; what the legend says -> the line."""
    handles: dict[str, Any] = {}
    metrics = [result.metrics[name] for name in found if name in result.metrics]
    if len(metrics) == 1 and metrics[0].unit == PERCENT:
        handles[f"all together: {with_unit(metrics[0].last)}"] = axis.axhline(metrics[0].last, color=GREY, linewidth=1.2)
    for chance in dict.fromkeys(metric.chance for metric in metrics):
        handles |= {} if chance is None else chance_line(axis, f"chance: {with_unit(chance)}", chance)
    return handles
