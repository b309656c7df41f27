"""What a run's notebook shows of its result."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib.figure import Figure

from rotnet_lib.data.listing import SplitName
from rotnet_lib.report.code_differences import differences_of
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.fragments import fragment
from rotnet_lib.runs.directory import METRICS
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.runs.unverified import sentence


def run_summary(result: RunResult, notes: Sequence[str] = (), split: SplitName = "test") -> HTML:
    """Headline, data, time, versions and differences from protocol and authors' code of a run, for a notebook cell.

    Args:
        result: the run's.
        notes: sentences that belong to the headline.
        split: whose images the figures are of.
    """
    shown = {"differences": describe_differences(result.protocol_differences), "unverified": _unverified(result)}
    return HTML(fragment("run.html.j2", result=result, notes=notes, split=split, code=differences_of(result), **shown))


def _unverified(result: RunResult) -> str:
    """Which files the figures come from that carry no checksum, in a sentence; empty if all do."""
    own = [f"{result.run}/{METRICS}"] if result.schema_version == 2 else []
    files = [*own, *result.unverified]
    return sentence(files) if files else ""


def describe_differences(differences: dict[str, list[Any]]) -> list[str]:
    """`["epochs 4 (protocol: 100)", ...]` from `RunResult.protocol_differences`."""
    return [f"{name} {plain(value, name)} (protocol: {plain(asked, name)})" for name, (asked, value) in differences.items()]


def training_curves(history: pd.DataFrame, *, validation: bool = False) -> Figure:
    """Loss and accuracy against epochs, of the training images and of those that the run is tested on.

    A loss of several terms has a panel for each: they differ by orders of magnitude. The test loss then stands apart from the
    training loss too, for what a task evaluates may be one term alone.

    Args:
        history: a row an epoch, as `Trainer.fit` returns it.
        validation: whether the images of `test_*` are held-out training images (`DataRecord.validation`).
    """
    test = "held out" if validation else "test"
    measured = [name for name in map(str, history) if name.startswith(("train_", "test_"))]
    several = any(name.startswith("train_loss_") for name in measured)
    long = history.melt("epoch", measured)
    long[["split", "metric"]] = long["variable"].str.extract(r"(train|test)_(.*)")
    long["split"] = long["split"].replace("test", test)
    is_loss = long["metric"].str.startswith("loss")
    long["panel"] = long["metric"].where(is_loss, "accuracy (%)")
    if several:
        long["panel"] = long["panel"].mask(long["metric"] == "loss", "loss (" + long["split"] + ")")
    panels = [*dict.fromkeys(long.loc[is_loss, "panel"]), "accuracy (%)"]
    many = long.loc[~is_loss, "metric"].nunique() > 1
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
            col_wrap=3 if several else None,
            marker="o" if len(history) < 30 else None,
            height=2.5 if several else 3.2,
            aspect=1.35,
            facet_kws={"sharey": False},
        )
    grid.set_titles("{col_name}").set_ylabels("")
    for axis in grid.axes.flat:
        axis.xaxis.get_major_locator().set_params(integer=True)
    return grid.figure


def loss_curves(history: pd.DataFrame) -> Figure:
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
    return figure


def target_bars(result: RunResult) -> Figure:
    """Accuracy by right answer (class, rotation) on the test split, a bar each; a colour a metric where there are several."""
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
    return grid.figure


_UNSET = {"image_size": "the data's own", "shrink": "none", "validate": "none", "clip_gradient": "none"}
"""Parameters whose None does not mean all."""


def plain(value: Any, field: str = "") -> str:
    """The value of a parameter as a reader expects it. None is a number of images not limited, but of `_UNSET`."""
    if value is None:
        return _UNSET.get(field, "all")
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
