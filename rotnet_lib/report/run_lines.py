"""A run in a line of a table: what it is, with what, on what, what it found, or why it failed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_bytes
from rotnet_lib.runs.directory import NOTEBOOK, REPORT, RunDirectory
from rotnet_lib.runs.metrics import with_unit
from rotnet_lib.runs.schema import MetricValue, RunResult
from rotnet_lib.training.trained_share import trained_share

_TASKS = {"labels": "Supervised", "rotation": "RotNet"}
"""Pretext tasks that people call otherwise."""

_BRIEF = 300
"""Characters of a cause that are shown."""


@dataclass(frozen=True)
class RunLine:
    """What a line says of a run.

    Attributes:
        name: of its directory.
        stage: empty if nothing tells it.
        what: it is, in words.
        arch, data, seed, length: text; empty where it is not known. `length` counts epochs or iterations.
        result: the headline figure, with its metric where there are several.
        more: the other figures.
        chance: what guessing gives.
        state: as `RunDirectory.state`, of a run at work or interrupted with how far it is trained.
        cause: why it failed, or is damaged.
        finished_at: when.
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
        what=described(own, known),
        arch=str(values.get("arch", "")),
        data=result.data.title if result else str(values.get("dataset", "")),
        seed=str(values.get("seed", "")),
        length=f"{length:,}{unit}" if isinstance(length, int) else "",
        **(_figures(result) if result else {}),
        state=state + (f", {share:.0%} trained" if share is not None else ""),
        cause=run.damage or (failure_cause(run) if state == "failed" else ""),
        finished_at=result.finished_at if result else "",
        link=f"{run.name}/{REPORT}" if (run.path / REPORT).exists() else None,
        suites=suites,
    )


def described(run: KnownRun, others: Mapping[str, KnownRun]) -> str:
    """A run in words: `RotNet`; `conv2, conv classifier, on RotNet`; without its arch, data and seed.

    Args:
        run: its stage and parameters.
        others: the runs that it may build on, by name; of one that is not among them the name is shown.
    """
    values = run.parameters
    if "task" in values:
        weighted = ", weighted" if values.get("pu_weights") else ""
        few = f", {values['labels_per_class']} labels a class" if values.get("labels_per_class") else ""
        fold = f", fold {values['fold']}" if values.get("fold") else ""
        task = str(values["task"])
        return (
            _TASKS.get(task, task.replace("-", " ").replace("_", " ").capitalize()) + _options(values) + weighted + fold + few
        )
    network = _network(values, others)
    layer = values.get("layer")
    parts = [
        ", ".join(map(str, layer)) if isinstance(layer, list | tuple) else str(layer or ""),
        f"{str(values['classifier']).replace('nonlinear', 'non-linear')} classifier" if "classifier" in values else "",
        f"{values['trained']} trained" if "trained" in values else "",
        f"{values['labels_per_class']} labels a class" if values.get("labels_per_class") else "",
        f"{values['views']} views" if values.get("views", "one") != "one" else "",
        f"on {network}" if network else "",
        f"after {100 * values['checkpoint']:g} % of its epochs" if values.get("checkpoint") else "",
    ]
    return ", ".join(filter(None, parts)) or run.stage


def failure_cause(run: RunDirectory) -> str:
    """The last line of the error in a failed run's notebook: `the loss is nan at epoch 1 ...`; empty if it holds none."""
    try:
        notebook = json.loads(read_bytes(run.path / NOTEBOOK, ""))
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        error = next(output for output in outputs if output["output_type"] == "error")
        lines = [line for line in str(error["evalue"]).splitlines() if line.strip()]
        own = error["ename"] in (
            "RotnetError",
            "StorageError",
        )  # their text alone is for the user; of others the type tells more
        said = lines[-1].strip() if lines else ""
        text = said if own and said else f"{error['ename']}: {said}".removesuffix(": ")
    except (FileNotFoundError, RotnetError, ValueError, RecursionError, LookupError, TypeError, AttributeError, StopIteration):
        return ""
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]} ..."


def _figures(result: RunResult) -> dict[str, str]:
    """The headline figure, the others, and what guessing gives."""
    if not result.metrics:
        return {}
    first = next(iter(result.metrics.values()))
    alike = [name for name, metric in result.metrics.items() if (metric.unit, metric.better) == (first.unit, first.better)]
    best = min(alike, key=lambda name: _rank(result.metrics[name]))
    others = [f"{name} {metric.text}" for name, metric in result.metrics.items() if name != best]
    metric = result.metrics[best]
    error = f" (s.e. {metric.standard_error:.2f})" if metric.standard_error is not None else ""
    return {
        "result": f"{best} {metric.text}{error}",
        "more": ", ".join(others),
        "chance": with_unit(metric.chance, metric.unit) if metric.chance is not None else "",
    }


def _rank(metric: MetricValue) -> float:
    return -metric.last if metric.better == "higher" else metric.last


def _options(values: Mapping[str, Any]) -> str:
    """What of a rotation task is not usual: its angles and how its copies are shown."""
    options = values.get("task_options") or {}
    angles = options.get("angles")
    said = [f"{len(angles)} angles"] if isinstance(angles, list | tuple) and tuple(angles) != (0, 90, 180, 270) else []
    said += [f"copies {options['copies']}"] if options.get("copies", "all") != "all" else []
    return "".join(f", {text}" for text in said)


def _network(values: Mapping[str, Any], others: Mapping[str, KnownRun]) -> str:
    backbone = str(values.get("backbone") or "")
    if backbone in ("random", "random-rescaled"):
        return f"a {backbone.replace('-', ', ')} network"
    return described(others[backbone], {}) if backbone in others else backbone


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
