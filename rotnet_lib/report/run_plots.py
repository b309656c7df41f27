"""Pictures of a run's training and of its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rotnet_lib.report.figure_style import GREY, WIDTH, Mark, figure_style, mark
from rotnet_lib.report.figure_words import course, one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.headings import ACCURACY
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.report.units import axis_label
from rotnet_lib.runs.metrics import PERCENT, with_unit
from rotnet_lib.runs.sampling import sampling_error
from rotnet_lib.runs.schema import MetricValue, RunResult

_DOTS = 15
"""Markers on a long curve, about."""
_BARS = 80
"""Bars of right answers, of all metrics together, at most; of more answers, those with the highest and the lowest accuracy."""
_ANSWERS = 40
"""Right answers that are drawn, at most."""
_NUMBERED = 12
"""Bars that have their figure on top, at most."""
_SHARE = 0.82
"""Of the room for an answer, how much its bars take together."""


@dataclass(frozen=True)
class _Curve:
    """A curve of training: its panel's title, its metric, `train` or what the test images are called, and its values."""

    panel: str
    metric: str
    split: str
    values: pd.Series


def training_curves(history: pd.DataFrame, metrics: Mapping[str, MetricValue], *, validation: bool = False) -> ReportFigure:
    """Loss and metrics against epochs, of the training images and of those that the run is tested on.

    All accuracies have one panel, all metrics of another unit too, and each metric without one. A loss of several terms has a
    panel for each: they differ by orders of magnitude. The test loss then stands apart from the training loss too, for what a
    task evaluates may be one term alone.

    Args:
        history: a row an epoch, as `Trainer.fit` returns it.
        metrics: the run's.
        validation: whether the images of `test_*` are held-out training images (`DataRecord.validation`).
    """
    test = "held out" if validation else "test"
    found = _curves(history, metrics, test)
    panels = list(dict.fromkeys(curve.panel for curve in sorted(found, key=lambda c: not c.metric.startswith("loss"))))
    together = {panel: list(dict.fromkeys(c.metric for c in found if c.panel == panel)) for panel in panels}
    several = list(dict.fromkeys(name for names in together.values() if len(names) > 1 for name in names))
    across = min(3, len(panels))
    rows = -(-len(panels) // across)
    with figure_style(0.85, grid=True):
        size = (WIDTH, (3.0 if rows == 1 else 2.4) * rows)
        figure, axes = plt.subplots(rows, across, figsize=size, squeeze=False, layout="constrained")
        for axis in axes.flat[len(panels) :]:
            axis.remove()
        handles: dict[str, Any] = {}
        for axis, panel in zip(axes.flat, panels, strict=False):
            for curve in (curve for curve in found if curve.panel == panel):
                named = len(together[panel]) > 1
                look = mark(several.index(curve.metric) if named else int(curve.split == "train"))
                # Where colours stand for metrics, they cannot stand for splits beside them.
                line = _draw(axis, history["epoch"], curve, look if named or not several else Mark(GREY, "o", ""))
                handles |= {curve.metric.removesuffix("_top1"): line} if named and curve.split == test else {}
                handles |= {curve.split: line} if not named else {}
            for chance in dict.fromkeys(metrics[name].chance for name in together[panel] if name in metrics):
                handles |= {} if chance is None else chance_line(axis, "chance", chance)
            axis.set(title=panel, xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        legend_above(figure, handles)
    read = one_by_one(f"{c.metric} ({c.split}) {course(c.values.tolist(), '')}" for c in found)
    whose = "held-out training images" if validation else "test images"
    return ReportFigure(
        figure,
        f"Loss and figures after each epoch: {whose} solid, training images dashed.",
        f"Curves over {len(history)} epochs: {read}.",
    )


def _curves(history: pd.DataFrame, metrics: Mapping[str, MetricValue], test: str) -> list[_Curve]:
    """What is drawn of a history: its columns of both splits that have values."""
    columns = [name for name in map(str, history) if name.startswith(("train_", "test_")) and history[name].notna().any()]
    several = any(name.startswith("train_loss_") for name in columns)
    titles = _panels(metrics)
    found = []
    for column in columns:
        split, _, metric = column.partition("_")
        split = split if split == "train" else test
        panel = f"loss ({split})" if several and metric == "loss" else titles.get(metric, metric)
        found.append(_Curve(panel, metric, split, history[column]))
    return found


def _draw(axis: Axes, epochs: pd.Series, curve: _Curve, look: Mark) -> Line2D:
    """Draw a curve, dashed and with empty markers if it is of the training images."""
    training = curve.split == "train"
    [line] = axis.plot(
        epochs,
        curve.values,
        color=look.colour,
        marker=look.marker,
        linestyle="--" if training else "-",
        markerfacecolor="white" if training else look.colour,
        markersize=4,
        linewidth=1.4,
        markevery=max(1, len(epochs) // _DOTS),
    )
    return line


def _panels(metrics: Mapping[str, MetricValue]) -> dict[str, str]:
    """Metric -> the title of its panel: `accuracy (%)`, `psnr (dB)`, `mse (lower is better)`, `nmi`."""
    together: dict[tuple[str, ...], list[str]] = {}
    for name, metric in metrics.items():
        together.setdefault((metric.unit, metric.better) if metric.unit else (name, metric.better), []).append(name)
    found: dict[str, str] = {}
    for names in together.values():
        metric = metrics[names[0]]
        what = "accuracy" if (metric.unit, metric.better) == ACCURACY else ", ".join(names)
        found |= dict.fromkeys(names, axis_label(what, metric.unit, metric.better))
    return found


def loss_curves(history: pd.DataFrame) -> ReportFigure:
    """The terms of the training loss, and the rate, against iterations.

    Args:
        history: a row every fiftieth of the iterations, as `voc.loop.fit` returns it.
    """
    terms = [name for name in map(str, history) if name.startswith("train_")]
    if len(terms) == 2:  # the loss and the one term that it is
        terms.remove("train_loss")
    with figure_style(0.85, grid=True):
        figure, (loss, rate) = plt.subplots(1, 2, figsize=(WIDTH, 3.0), width_ratios=(2, 1), layout="constrained")
        every = max(1, len(history) // _DOTS)
        for number, name in enumerate(terms):
            look = mark(number)
            said = name.removeprefix("train_").replace("_", " ")
            loss.plot(
                history["iteration"],
                history[name],
                color=look.colour,
                marker=look.marker,
                markersize=4,
                markevery=every,
                label=said,
            )
        rate.plot(history["iteration"], history["lr"], color=mark(0).colour, marker="o", markersize=4, markevery=every)
        # A term's name that begins with an underscore is left out, unless it is given with its line.
        loss.legend(loss.get_lines(), [str(line.get_label()) for line in loss.get_lines()])
        loss.set(xlabel="iteration", ylabel="training loss", ylim=(0, None))
        rate.set(xlabel="iteration", ylabel="learning rate")
        for axis in (loss, rate):
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    read = one_by_one(f"{name.removeprefix('train_')} {course(history[name].tolist(), '')}" for name in [*terms, "lr"])
    return ReportFigure(
        figure,
        "Training loss and learning rate over the iterations.",
        f"Curves over {history['iteration'].iloc[-1]} iterations: {read}.",
    )


def target_bars(result: RunResult) -> ReportFigure | None:
    """Accuracy by right answer (class, rotation), a bar each with its standard error; a colour and hatch a metric.

    None for a task without answers to choose from.
    """
    found = {metric: values for metric, values in result.by_target.items() if values}
    if not found:
        return None
    answers = list(dict.fromkeys(name for values in found.values() for name in values))
    shown = _ends(answers, next(iter(found.values())), min(_ANSWERS, _BARS // len(found)))
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
    left_out = (
        f" Of {len(answers)} answers the {len(shown)} of the highest and the lowest accuracy are drawn."
        if len(shown) < len(answers)
        else ""
    )
    bars = (
        " Error bars reach one standard error (of the images) to both sides."
        if any(map(_knows, result.metrics.values()))
        else ""
    )
    return ReportFigure(
        figure, f"Accuracy by right answer on {result.data.tested_on}.{left_out}{bars}", f"Bars from 0 to 100 %. {read}"
    )


def _ends(answers: Sequence[str], values: Mapping[str, float], most: int) -> list[str]:
    """All answers in their order, or of more than `most` as many at both ends of the values, the highest first."""
    half = max(1, most // 2)
    if len(answers) <= 2 * half:
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
