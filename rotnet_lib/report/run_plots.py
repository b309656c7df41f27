"""Pictures of a run's training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rotnet_lib.report.figure_style import GREY, WIDTH, Mark, figure_style, mark
from rotnet_lib.report.figure_words import course, one_by_one
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.headings import ACCURACY
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.report.units import axis_label
from rotnet_lib.runs.schema import MetricValue

_DOTS = 15
"""Markers on a long curve, about."""


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
        told = (metric.unit, metric.better) == ACCURACY and any(name.endswith("top1") for name in names)
        what = "accuracy" if told else ", ".join(names)
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
