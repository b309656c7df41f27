"""Pictures of a run's training and of its answers."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figure_words import course, one_by_one, values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.headings import ACCURACY
from rotnet_lib.report.units import axis_label
from rotnet_lib.runs.schema import MetricValue, RunResult


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
    measured = [name for name in map(str, history) if name.startswith(("train_", "test_"))]
    several = any(name.startswith("train_loss_") for name in measured)
    long = history.melt("epoch", measured)
    long[["split", "metric"]] = long["variable"].str.extract(r"(train|test)_(.*)")
    long["split"] = long["split"].replace("test", test)
    is_loss = long["metric"].str.startswith("loss")
    long["panel"] = long["metric"].replace(_panels(metrics))
    if several:
        long["panel"] = long["panel"].mask(long["metric"] == "loss", "loss (" + long["split"] + ")")
    panels = [*dict.fromkeys(long.loc[is_loss, "panel"]), *dict.fromkeys(long.loc[~is_loss, "panel"])]
    many = bool((long[~is_loss].groupby("panel")["metric"].nunique() > 1).any())
    with figure_style(0.85, grid=True):
        grid = sns.relplot(
            long,
            kind="line",
            x="epoch",
            y="value",
            hue="metric" if many else "split",
            hue_order=None if many else ["train", test],
            style="split",
            style_order=[test, "train"],
            col="panel",
            col_order=panels,
            col_wrap=3 if several or len(panels) > 3 else None,
            marker="o" if len(history) < 30 else None,
            height=2.5 if several or len(panels) > 3 else 3.2,
            aspect=1.35,
            facet_kws={"sharey": False},
        )
    grid.set_titles("{col_name}").set_ylabels("")
    for axis in grid.axes.flat:
        axis.xaxis.get_major_locator().set_params(integer=True)
    lines = long.groupby(["metric", "split"], sort=False)["value"]
    read = one_by_one(f"{name} ({split}) {_read_off(values.dropna().tolist())}" for (name, split), values in lines)
    return ReportFigure(
        grid.figure,
        f"Loss and figures after each epoch, of the training images and of those that are {test}.",
        f"Curves over {len(history)} epochs: {read}.",
    )


def _read_off(values: list[float]) -> str:
    return course(values, "") if values else "not measured"


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
        figure, (loss, rate) = plt.subplots(1, 2, figsize=(8.6, 3.0), width_ratios=(2, 1), layout="constrained")
        for name in terms:
            sns.lineplot(history, x="iteration", y=name, label=name.removeprefix("train_").replace("_", " "), ax=loss)
        sns.lineplot(history, x="iteration", y="lr", ax=rate)
    loss.set(ylabel="training loss", ylim=(0, None))
    rate.set(ylabel="learning rate")
    read = one_by_one(f"{name.removeprefix('train_')} {course(history[name].tolist(), '')}" for name in [*terms, "lr"])
    return ReportFigure(
        figure,
        "Training loss and learning rate over the iterations.",
        f"Curves over {history['iteration'].iloc[-1]} iterations: {read}.",
    )


def target_bars(result: RunResult) -> ReportFigure | None:
    """Accuracy by right answer (class, rotation) on the test split, a bar each; a colour a metric where there are several.

    None for a task without answers to choose from.
    """
    if not any(result.by_target.values()):
        return None
    frame = pd.DataFrame(
        [(name, metric, value) for metric, found in result.by_target.items() for name, value in found.items()],
        columns=["answer", "metric", "accuracy (%)"],
    )
    with figure_style(0.85, grid=True):
        grid = sns.catplot(
            frame,
            kind="bar",
            x="answer",
            y="accuracy (%)",
            hue="metric" if frame["metric"].nunique() > 1 else None,
            height=3.0,
            aspect=2.6,
        )
    grid.set_xlabels("").ax.tick_params("x", rotation=30)
    read = one_by_one((f"{metric}: {values_by_name(found)}." for metric, found in result.by_target.items()), between=" ")
    return ReportFigure(grid.figure, f"Accuracy by right answer on {result.data.tested_on}.", f"Bars. {read}")
