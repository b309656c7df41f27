"""A page of two runs side by side: what differs in their parameters, figures and training."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rotnet_lib.files import write_text
from rotnet_lib.report.answer_words import clause
from rotnet_lib.report.cells import Cell
from rotnet_lib.report.comparison import compare
from rotnet_lib.report.figure_style import WIDTH, Mark, figure_style, mark
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.fragments import page
from rotnet_lib.report.metric_titles import short_titles
from rotnet_lib.report.parameter_words import plain
from rotnet_lib.report.plot_parts import chance_line, legend_above
from rotnet_lib.report.run_title import data_title, described
from rotnet_lib.report.units import axis_label, change
from rotnet_lib.runs.directory import REPORT, RunDirectory, now
from rotnet_lib.runs.history import history_of
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import MetricValue, RunResult

_FEW = 30
"""Rows of a history below which each is marked."""

_MOST_PANELS = 6
"""Metrics that have a panel in the figure, beside the loss."""


@dataclass(frozen=True)
class Compared:
    """A figure that both runs or one of them has.

    Attributes:
        metric: its name.
        first, second: as text; empty where a run has none.
        difference: second less first, as text.
        verdict: whether it is beyond the error, in words; or why that is not known.
        sentence: which is higher and by how much, A being the first run and B the second; empty where they are not compared.
    """

    metric: str
    first: str
    second: str
    difference: str = ""
    verdict: str = ""
    sentence: str = ""

    def __str__(self) -> str:
        return f"{self.metric}: {self.first or 'none'}, {self.second or 'none'}" + (
            f": {self.difference}, {self.verdict}" if self.difference else ""
        )


class TwoRuns:
    """Two finished runs beside each other.

    Raises RotnetError if the result or the history of one is damaged.
    """

    def __init__(self, first: RunDirectory, second: RunDirectory) -> None:
        self.runs = (first, second)
        self.results = (first.result(), second.result())
        self._histories = [
            history_of(run) if result.training else pd.DataFrame() for run, result in zip(self.runs, self.results, strict=True)
        ]

    @property
    def names(self) -> tuple[str, str]:
        """What the runs are, in words; with the seed where these are the same."""
        first, second = (_words(run, result) for run, result in zip(self.runs, self.results, strict=True))
        if first != second:
            return first, second
        seeds = [f"{first}, seed {result.parameters.get('seed')}" for result in self.results]
        return seeds[0], seeds[1]

    @property
    def figures(self) -> list[Compared]:
        """The figures of both runs, those that both have first. Two runs on a layer each are compared whatever the layers."""
        first, second = (result.metrics for result in self.results)
        layers = [_of_one_layer(result) for result in self.results]
        if layers[0] and layers[1] and layers[0] != layers[1] and layers[0][1] == layers[1][1]:  # conv2_top1 and conv4_top1
            [one], [other] = first.values(), second.values()
            return [_compared(f"{layers[0][1]} of {layers[0][0]} and of {layers[1][0]}", one, other)]
        both = [name for name in first if name in second]
        alone = [name for name in (*first, *second) if name not in both]
        titles = short_titles(self.results[1]) | short_titles(self.results[0])
        if len(set(titles.values())) < len(titles):  # the layers of a run on several, beside one on a layer
            titles = {name: name for name in titles}
        return [_compared(titles[name], first.get(name), second.get(name)) for name in (*both, *alone)]

    @property
    def result(self) -> str:
        """How the first figure that both have stands in one to the other, in a sentence; else that these are two runs.

        Figures of different images are not held against each other.
        """
        if self.warning:
            return "Two runs side by side"
        return next((figure.sentence for figure in self.figures if figure.sentence), "Two runs side by side")

    @property
    def parameters(self) -> list[tuple[str, str, str]]:
        """Name, and its values, of every parameter that differs; of one that a run does not have nothing."""
        first, second = (_flat(result.parameters) for result in self.results)
        stages = [result.stage for result in self.results]
        found = [("stage", stages[0], stages[1])] if stages[0] != stages[1] else []
        for name in dict.fromkeys([*first, *second]):
            one, other = (
                plain(values[name], name, stage) if name in values else ""
                for values, stage in zip((first, second), stages, strict=True)
            )
            if one != other:
                found.append((name, one, other))
        return found

    @property
    def circumstances(self) -> list[tuple[str, str, str]]:
        """What else differs: data, versions, machine, time."""
        facts = [dict(_circumstances(result)) for result in self.results]
        return [
            (name, facts[0].get(name, ""), facts[1].get(name, ""))
            for name in dict.fromkeys([*facts[0], *facts[1]])
            if facts[0].get(name) != facts[1].get(name)
        ]

    @property
    def warning(self) -> str:
        """Why the figures should not be held against each other, in a sentence; empty if they may be."""
        first, second = (result.data for result in self.results)
        if first.fingerprint != second.fingerprint or first.validation != second.validation:
            return f"The figures are of different images: {first.title}, {first.tested_on}; {second.title}, {second.tested_on}."
        if first.test_images != second.test_images:
            return f"The figures are of {first.test_images:,} and {second.test_images:,} images."
        return ""

    @property
    def curves(self) -> ReportFigure | None:
        """Loss and common metrics of both runs by epoch or iteration, a panel each; None where they have none in common."""
        first, second = self._histories
        if first.empty or second.empty:
            return None
        by = next((name for name in ("epoch", "iteration") if name in first and name in second), None)
        columns = [name for name in map(str, first) if name in second and name.startswith(("train_", "test_"))]
        metrics = self.results[0].metrics
        wanted = [name for name in metrics if name in self.results[1].metrics][:_MOST_PANELS]
        panels = [name for name in ("loss", *wanted) if f"train_{name}" in columns or f"test_{name}" in columns]
        if by is None or not panels:
            return None
        rows = -(-len(panels) // 2)
        with figure_style(0.85, grid=True):
            figure, axes = plt.subplots(
                rows, min(2, len(panels)), figsize=(WIDTH, 3.0 * rows), squeeze=False, layout="constrained"
            )
            handles: dict[str, Any] = {}
            for axis, panel in zip(axes.flat, panels, strict=False):
                for number, (letter, history) in enumerate(zip("AB", self._histories, strict=True)):
                    splits = [split for split in ("test", "train") if f"{split}_{panel}" in columns]
                    for split in splits:
                        line = _draw(axis, history[by], history[f"{split}_{panel}"], mark(number), hollow=split == "train")
                        handles[f"{letter}, {split}"] = line
                metric = metrics.get(panel)
                if metric and metric.chance is not None:
                    handles |= chance_line(axis, "chance", metric.chance)
                axis.set(xlabel=by, ylabel=axis_label(panel, metric.unit, metric.better) if metric else panel)
                axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            for axis in axes.flat[len(panels) :]:
                axis.remove()
            legend_above(figure, handles)
        ends = ", ".join(map(str, self.figures))
        words = f"Training of A, {self.names[0]}, and of B, {self.names[1]}: test images solid, training images dashed."
        return ReportFigure(figure, words, f"Curves of {', '.join(panels)} by {by}. At their ends (A, B): {ends}")


def _draw(axis: Axes, places: pd.Series, values: pd.Series, look: Mark, *, hollow: bool) -> Line2D:
    """Draw a curve: with hollow markers it is dashed too."""
    [line] = axis.plot(
        places,
        values,
        "--" if hollow else "-",
        color=look.colour,
        marker=look.marker if len(places) < _FEW else None,
        markerfacecolor="white" if hollow else look.colour,
        markersize=5,
    )
    return line


def write_comparison(two: TwoRuns, target: Path) -> None:
    """Write the page of two runs, atomically, with links to their own pages where these exist. Raises StorageError."""
    links = [
        os.path.relpath(run.path / REPORT, target.absolute().parent) if (run.path / REPORT).exists() else None
        for run in two.runs
    ]
    curves = two.curves
    text = page(
        "compare_runs.html.j2",
        title=f"Comparison: {' and '.join(two.names)}",
        result=two.result,
        time=now(),
        two=two,
        runs=list(zip("AB", two.names, two.runs, two.results, links, strict=True)),
        curves=curves.html if curves else "",
    )
    write_text(target, text)


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, of those that have keys each key by itself: `task_options.angles`."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        found |= {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _of_one_layer(result: RunResult) -> tuple[str, str] | None:
    """The layer and the measure of a run that has one figure, of one layer: `conv2`, `top1`; None of another."""
    layers = result.parameters.get("layer")
    if not isinstance(layers, list | tuple) or len(layers) != 1 or len(result.metrics) != 1:
        return None
    [name] = result.metrics
    measure = name.removeprefix(f"{layers[0]}_")
    return (str(layers[0]), measure) if measure != name else None


def _words(run: RunDirectory, result: RunResult) -> str:
    """What a run is, by its parameters and those of the run that it builds on, if that is still there."""
    return described(result.stage, {**result.parameters, "runs": str(run.path.parent)}, data_title(result.data.title))


def _compared(name: str, first: MetricValue | None, second: MetricValue | None) -> Compared:
    texts = [with_unit(metric.last, metric.unit) if metric else "" for metric in (first, second)]
    if first is None or second is None:
        return Compared(name, texts[0], texts[1])
    if (first.unit, first.better) != (second.unit, second.better):
        return Compared(name, texts[0], texts[1], verdict="not of one kind")
    one, other = _cell(first), _cell(second)
    found = compare(one, other)
    difference = change(second.last - first.last, first.last, first.unit)
    sentence = f"{name}: {clause('B', other, 'A', one, first=True)}"
    return Compared(name, texts[0], texts[1], difference, found.words if found else "its error is not known", sentence)


def _cell(metric: MetricValue) -> Cell:
    return Cell(None, [metric.last], unit=metric.unit, better=metric.better, tested=metric.tested, images=metric.images)


def _circumstances(result: RunResult) -> Iterator[tuple[str, str]]:
    data, machine = result.data, result.environment
    yield "data", data.title
    yield "training images", f"{data.train_images:,}"
    yield "test images", f"{data.test_images:,} ({data.tested_on})"
    yield "fingerprint of the data", data.fingerprint
    if result.training:
        yield "parameters trained", f"{result.training.parameters:,}"
        yield "inputs", f"{result.training.inputs:,}"
        yield "inputs per second", f"{result.training.inputs_per_second:,.0f}"
    yield "seconds", f"{result.seconds:,.0f}"
    yield "machine", f"{machine.device}, {machine.processes} x {machine.threads or '?'} threads"
    yield "rotnet-lib", " at ".join(filter(None, [machine.rotnet_lib, machine.commit]))
    yield from _versions({"python": machine.python} | machine.packages)
    yield "finished", result.finished_at


def _versions(packages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, version in packages.items():
        yield name, str(version)
