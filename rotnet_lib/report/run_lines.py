"""A run in a line of a table: what it is, with what, on what, what it found, or why it failed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_bytes
from rotnet_lib.report.failure import cause_of_failure
from rotnet_lib.report.metric_titles import headline_metric, measured_by_layer, short_titles
from rotnet_lib.report.run_title import data_title, described
from rotnet_lib.runs.directory import NOTEBOOK, REPORT, RunDirectory
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.training.trained_share import trained_share

_MINUTES = len("2026-11-28 06:20")
"""Characters of a time up to its minutes."""

_BRIEF = 300
"""Characters of a cause that are shown."""


@dataclass(frozen=True)
class RunLine:
    """What a line says of a run.

    Attributes:
        name: of its directory.
        stage: empty if nothing tells it.
        what: it is, in words, as its page says it; empty if nothing tells its stage.
        arch, data, seed, length: text; empty where it is not known. `length` counts epochs or iterations.
        result: the headline figure, with its metric where there are several.
        figure: the headline figure alone, by which tables are sorted.
        more: the other figures.
        chance: what guessing gives.
        state: as `RunDirectory.state`, of a run at work or interrupted with how far it is trained.
        cause: why it failed, or is damaged.
        finished_at: when, in UTC, to the minute.
        link: to its page, from the folder of runs; None if it has none.
        suites: the names of the suites that it is in.
    """

    name: str
    stage: str
    what: str
    arch: str = ""
    data: str = ""
    seed: str = ""
    length: str = ""
    result: str = ""
    figure: float | None = None
    more: str = ""
    chance: str = ""
    state: str = ""
    cause: str = ""
    finished_at: str = ""
    link: str | None = None
    suites: Sequence[str] = ()


@dataclass(frozen=True)
class KnownRun:
    """What is known of a run without its result: from a plan, or its own directory."""

    stage: str
    parameters: Mapping[str, Any]


def run_line(run: RunDirectory, known: Mapping[str, KnownRun], suites: Sequence[str]) -> RunLine:
    """The line of a run.

    Args:
        run: its directory, which exists.
        known: run's name -> what plans say of it and of those that it builds on.
        suites: the names of the suites that it is in.
    """
    state = run.state
    result = run.result() if state == "finished" else None
    own = KnownRun(result.stage, result.parameters) if result else known.get(run.name) or _known_alone(run)
    values = own.parameters
    length = values.get("epochs", values.get("iterations"))
    share = trained_share(run, length) if isinstance(length, int) and state in ("running", "interrupted") else None
    unit = " iterations" if "iterations" in values else ""
    return RunLine(
        name=run.name,
        stage=own.stage,
        what=_what(run, own, result, known),
        arch=str(values.get("arch", "")),
        data=result.data.title if result else str(values.get("dataset", "")),
        seed=str(values.get("seed", "")),
        length=f"{length:,}{unit}" if isinstance(length, int) else "",
        **(_figures(result) if result else {}),
        state=state + (f", {share:.0%} trained" if share is not None else ""),
        cause=run.damage or (cause_of_failure(run)[:_BRIEF] if state == "failed" else ""),
        finished_at=result.finished_at[:_MINUTES] if result else "",
        link=f"{run.name}/{REPORT}" if (run.path / REPORT).exists() else None,
        suites=suites,
    )


def _what(run: RunDirectory, own: KnownRun, result: RunResult | None, known: Mapping[str, KnownRun]) -> str:
    """What the run is; empty if nothing tells its stage: one with a task trains it."""
    stage = own.stage or (PretrainConfig.stage if "task" in own.parameters else "")
    if not stage:
        return ""
    backbone = str(own.parameters.get("backbone"))
    others = {backbone: known[backbone].parameters} if backbone in known else {}
    data = data_title(result.data.title) if result else ""
    return described(stage, {**own.parameters, "runs": str(run.path.parent)}, data, others)


def _figures(result: RunResult) -> dict[str, Any]:
    """The headline figure, the others, and what guessing gives."""
    if not result.metrics:
        return {}
    titles = short_titles(result)
    best, _ = headline_metric(result.metrics, best=measured_by_layer(result))
    others = [f"{titles[name]} {_unbroken(metric)}" for name, metric in result.metrics.items() if name != best]
    metric = result.metrics[best]
    error = f" (s.e.\u00a0{metric.standard_error:.2f})" if metric.standard_error is not None else ""
    return {
        "result": f"{titles[best]} {_unbroken(metric)}{error}",
        "figure": metric.last,
        "more": ", ".join(others),
        "chance": with_unit(metric.chance, metric.unit) if metric.chance is not None else "",
    }


def _unbroken(metric: MetricValue) -> str:
    """A figure that is not broken before its unit."""
    return metric.text.replace(" ", "\u00a0")


def _known_alone(run: RunDirectory) -> KnownRun:
    """What the directory of a run says that is not finished and in no plan."""
    try:
        notebook = json.loads(read_bytes(run.path / NOTEBOOK, ""))
        stage = str(notebook["metadata"]["papermill"]["input_path"]).rpartition("/")[2].removesuffix(".ipynb")
    except (FileNotFoundError, RotnetError, ValueError, RecursionError, LookupError, TypeError):
        stage = ""
    try:
        return KnownRun(stage, run.parameters())
    except RotnetError:
        return KnownRun(stage, {})
