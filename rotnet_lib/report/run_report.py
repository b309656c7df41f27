"""What a run's notebook shows of its result."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib.figure import Figure

from rotnet_lib.data.listing import SplitName
from rotnet_lib.report.code_differences import differences_of
from rotnet_lib.report.error_notes import note_on_run
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.headings import ACCURACY
from rotnet_lib.report.units import axis_label
from rotnet_lib.runs.directory import METRICS
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.runs.unverified import sentence


def run_summary(result: RunResult, notes: Sequence[str] = (), split: SplitName = "test") -> HTML:
    """Headline, data, time, versions and differences from protocol and authors' code of a run, for a notebook cell.

    Args:
        result: the run's.
        notes: sentences that belong to the headline.
        split: whose images the figures are of.
    """
    shown: dict[str, Any] = {"whose": _whose(result, split), "guesses": _guesses(result), "errors": note_on_run(result.metrics)}
    shown |= {"differences": describe_differences(result.protocol_differences), "unverified": _unverified(result)}
    return HTML(fragment("run.html.j2", result=result, notes=notes, code=differences_of(result), **shown))


def _whose(result: RunResult, split: SplitName) -> str:
    """Whose images the figures are of: `1000 test images`."""
    tested = [name for name, metric in result.metrics.items() if metric.tested]
    others = [name for name, metric in result.metrics.items() if not metric.tested]
    training = f"{result.data.train_images} training images"
    if split != "test":
        return training
    if others and not tested:
        return f"{training} (the test split tells nothing of {' and '.join(others)})"
    kind = "held-out training" if result.data.validation else "test"
    also = f" ({', '.join(others)}: on {training}, for the test split tells nothing of it)" if others else ""
    return f"{result.data.test_images} {kind} images{also}"


def _guesses(result: RunResult) -> str:
    """What guessing gives, in a sentence; empty where nobody knows."""
    known = {name: with_unit(m.chance, m.unit) for name, m in result.metrics.items() if m.chance is not None}
    if not known:
        return ""
    if len(known) == len(result.metrics) and len(set(known.values())) == 1:
        return f"Guessing gives {next(iter(known.values()))}."
    return f"Guessing gives {', '.join(f'{name} {chance}' for name, chance in known.items())}."


def _unverified(result: RunResult) -> str:
    """Which files the figures come from that carry no checksum, in a sentence; empty if all do."""
    own = [f"{result.run}/{METRICS}"] if result.schema_version == 2 else []
    files = [*own, *result.unverified]
    return sentence(files) if files else ""


def describe_differences(differences: dict[str, list[Any]]) -> list[str]:
    """`["epochs 4 (protocol: 100)", ...]` from `RunResult.protocol_differences`."""
    return [f"{name} {plain(value, name)} (protocol: {plain(asked, name)})" for name, (asked, value) in differences.items()]


def training_curves(history: pd.DataFrame, metrics: Mapping[str, MetricValue], *, validation: bool = False) -> Figure:
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
    return grid.figure


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


def target_bars(result: RunResult) -> Figure | None:
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
