"""Accuracy by layer of a run, beside the same of random features, published figures and chance."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rotnet_lib.paths import from_project
from rotnet_lib.report.figure_style import GREY, figure_style, mark
from rotnet_lib.report.figure_words import one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.report.published_of_run import published_of
from rotnet_lib.report.run_title import network_of
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.stages.backbone_config import UNTRAINED

_LAYER = "_top1"
_ITS_OWN = {"backbone", "checkpoint", "layer"}
"""Parameters in which the same run on another backbone may differ, beside those of where it ran."""
_WIDTH = 0.8
"""Of a layer's bars together; 1 is the distance between layers."""


def layer_bars(result: RunResult) -> ReportFigure:
    """A bar for each layer's accuracy, beside it that of random features where the same run on them is finished.

    Where a suite names the run, the figure that its table publishes for a layer is a diamond over the layer's bars.

    Args:
        result: of a run whose metrics are `<layer>_top1`.
    """
    own = _by_layer(result)
    measured = {network_of(result.parameters).words: own}
    for other in same_of_random(result):
        theirs = {layer: metric for layer, metric in _by_layer(other).items() if layer in own}
        measured.setdefault(network_of(other.parameters).words, theirs)
    known = published_of(result.run, from_project(str(result.parameters.get("runs", "runs"))))
    published = {layer: known.figures[f"{layer}{_LAYER}"] for layer in own if f"{layer}{_LAYER}" in known.figures}
    whose = f"published{f' ({known.data})' if known.data else ''}"
    chances = dict.fromkeys(metric.chance for metric in own.values() if metric.chance is not None)
    values = [metric.last for found in measured.values() for metric in found.values()]
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        handles: dict[str, Any] = {}
        for number, (words, found) in enumerate(measured.items()):
            handles[words] = _bars(axis, list(own), found, number, len(measured))
        handles = handles if len(measured) > 1 else {}
        if published:
            handles[whose] = _diamonds(axis, list(own), published)
        for chance in chances:
            handles |= chance_line(axis, f"chance: {with_unit(chance)}", chance)
        legend_above(figure, handles)
        axis.set_xticks(range(len(own)), list(own))
        # Room for the figure on the highest bar.
        axis.set(ylabel="accuracy (%)", ylim=(0, 1.14 * max(*values, *published.values(), *chances, 1.0)))
        axis.grid(visible=False, axis="x")
    errors = any(metric.standard_error is not None for found in measured.values() for metric in found.values())
    reach = " Error bars reach one standard error (of the images) to both sides." if errors else ""
    beside = "" if len(measured) > 1 else " No run like it on random features was finished when this was drawn."
    if known.damaged:
        beside += f" Published figures may be missing: the plan of {one_by_one(known.damaged)} is damaged."
    shown = {words: {layer: metric.last for layer, metric in found.items()} for words, found in measured.items()}
    shown |= {whose: published} if published else {}
    read = " ".join(f"{words}: {values_by_name(found)}." for words, found in shown.items())
    level = "".join(f" Chance: {with_unit(chance)}." for chance in chances)
    return ReportFigure(figure, f"Accuracy by layer on {result.data.tested_on}.{reach}{beside}", f"Bars. {read}{level}")


def same_of_random(result: RunResult) -> list[RunResult]:
    """Finished runs of the same folder that differ from a run only in that their backbone is untrained; not itself."""
    if "runs" not in result.parameters:
        return []
    root = from_project(str(result.parameters["runs"]))
    found = []
    for path in sorted(root.glob(f"*{UNTRAINED[0]}*")):  # their names say so
        run = RunDirectory(path)
        if path.name == result.run or not run.finished:
            continue
        other = run.result()
        random = other.parameters.get("backbone") in UNTRAINED
        if other.stage == result.stage and random and _compared(other) == _compared(result):
            found.append(other)
    return found


def _by_layer(result: RunResult) -> dict[str, MetricValue]:
    return {name.removesuffix(_LAYER): metric for name, metric in result.metrics.items()}


def _compared(result: RunResult) -> dict[str, object]:
    apart = _ITS_OWN | set(result.execution or ())
    return {name: value for name, value in result.parameters.items() if name not in apart}


def _bars(axis: Axes, layers: list[str], found: Mapping[str, MetricValue], number: int, groups: int) -> Any:
    """The bars of one network, the `number`-th of so many groups beside each other."""
    look, width = mark(number), _WIDTH / groups
    errors = [float("nan") if metric.standard_error is None else metric.standard_error for metric in found.values()]
    bars = axis.bar(
        [layers.index(layer) + (number - (groups - 1) / 2) * width for layer in found],
        [metric.last for metric in found.values()],
        width=width,
        yerr=None if all(map(math.isnan, errors)) else errors,
        color=look.colour,
        hatch=look.hatch,
        edgecolor="white",
        error_kw={"elinewidth": 1.2, "capsize": 3},
    )
    axis.bar_label(bars, fmt="%.2f" if groups == 1 else "%.1f", padding=2)
    return bars


def _diamonds(axis: Axes, layers: list[str], published: Mapping[str, float]) -> Line2D:
    places = [layers.index(layer) for layer in published]
    [line] = axis.plot(places, list(published.values()), "D", markerfacecolor="none", markeredgecolor=GREY)
    return line
