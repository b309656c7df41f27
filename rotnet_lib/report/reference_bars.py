"""A probe's layers beside the same probe of random features, published figures, and guessing."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib import pyplot

from rotnet_lib.paths import from_project
from rotnet_lib.report.figure_style import COLOURS, figure_style
from rotnet_lib.report.figure_words import values_by_name
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.published_of_run import published_of
from rotnet_lib.report.run_title import network_of
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.stages.backbone_config import UNTRAINED

_ITS_OWN = {"backbone", "checkpoint", "layer"}
"""Parameters in which the same probe of another backbone may differ, beside those of where it ran."""


def reference_bars(result: RunResult) -> ReportFigure:
    """A bar for each layer's accuracy, beside it that of random features where the same probe of them is finished.

    Where a suite names the run, the figure that its table publishes for a layer is a diamond over the layer's bars.

    Args:
        result: of a run whose metrics are `<layer>_top1`.
    """
    own = {name.removesuffix("_top1"): metric.last for name, metric in result.metrics.items()}
    measured: dict[str, Mapping[str, float]] = {network_of(result.parameters).words: own}
    for other in same_of_random(result):
        theirs = {name.removesuffix("_top1"): metric.last for name, metric in other.metrics.items()}
        measured.setdefault(network_of(other.parameters).words, {layer: theirs[layer] for layer in own if layer in theirs})
    chance = next(iter(result.metrics.values())).chance
    known = published_of(result.run, from_project(str(result.parameters["runs"])))
    published = {layer: known.figures[f"{layer}_top1"] for layer in own if f"{layer}_top1" in known.figures}
    whose = f"published{f' ({known.data})' if known.data else ''}"
    rows = [(words, layer, value) for words, found in measured.items() for layer, value in found.items()]
    frame = pd.DataFrame(rows, columns=["features", "layer", "accuracy (%)"])
    with figure_style(0.85, grid=True):
        figure, axis = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")
        sns.barplot(
            frame, x="layer", y="accuracy (%)", hue="features", order=list(own), palette=COLOURS[: len(measured)], ax=axis
        )
        for bars in axis.containers:
            axis.bar_label(bars, fmt="%.1f", padding=2)  # type: ignore[arg-type]
        if published:
            places = [list(own).index(layer) for layer in published]
            axis.plot(places, list(published.values()), "D", markerfacecolor="none", markeredgecolor="0.35", label=whose)
        if chance is not None:
            axis.axhline(chance, color="0.3", linestyle="--", linewidth=1, label=f"chance: {with_unit(chance)}")
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2, frameon=False)
        axis.set(xlabel="", ylim=(0, 100))
    shown = measured | ({whose: published} if published else {})
    read = " ".join(f"{words}: {values_by_name(found)}." for words, found in shown.items())
    beside = "" if len(measured) > 1 else " No probe of random features with these parameters was finished when this was drawn."
    return ReportFigure(
        figure,
        f"Top-1 accuracy of the classifiers on {result.data.tested_on}.{beside}",
        f"Bars. {read}" + (f" Chance is {with_unit(chance)}." if chance is not None else ""),
    )


def same_of_random(result: RunResult) -> list[RunResult]:
    """Finished runs of the same folder that differ from a run only in that their backbone is untrained; not itself."""
    root = from_project(str(result.parameters["runs"]))
    found = []
    for path in sorted(root.glob(f"*{UNTRAINED[0]}*")):  # their names say so
        run = RunDirectory(path)
        if path.name == result.run or not run.finished:
            continue
        other = run.result()
        if (
            other.stage == result.stage
            and other.parameters.get("backbone") in UNTRAINED
            and _compared(other) == _compared(result)
        ):
            found.append(other)
    return found


def _compared(result: RunResult) -> dict[str, object]:
    apart = _ITS_OWN | set(result.execution or ())
    return {name: value for name, value in result.parameters.items() if name not in apart}
