"""A plan for a person: runs in order, how long they may take, what is not the protocol's, where each value comes from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rotnet_lib.paths import from_project
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.runs.directory import finished_runs
from rotnet_lib.runs.resolution import UNLIMITED
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.suites.plan import CollectionPlan, Plan, PlannedRun

_ALIKE = ("arch", "width", "image_size", "task", "task_options", "layer", "classifier", "dataset", "augment", "iterations")
"""Parameters by which runs of a stage that agree in them take the same time for an image and an epoch."""


def plan_lines(plan: Plan | CollectionPlan, *, explain: bool = False) -> Iterator[str]:
    """Lines that say what making a plan would do.

    Args:
        plan: of a suite, or of a collection of suites.
        explain: list every parameter of each run with its origin, instead of what differs from the protocol.
    """
    yield f"preset {plan.preset}: {plan.preset_reason}."
    yield f"  {plan.preset_description}"
    seconds = _seconds_here(plan)
    for run in plan.runs:
        does, length = _does(run), _length(seconds.get(run.name))
        yield f"{run.key}, seed {run.config.seed}: {does}{length if 'would run' in does else ''}: {run.directory.path}"
        if explain:
            yield from _explained(run)
        elif changed := _changes(run.config):
            yield f"    not the protocol's: {changed}"
    wanted = [run.name for run in plan.runs if not run.directory.finished]
    known = [seconds[name] for name in wanted if name in seconds]
    if known:
        yield f"{len(known)} of {len(wanted)} to make{_length(sum(known))}, one after the other, by finished runs like them"


def difference_lines(plan: Plan | CollectionPlan, other: Plan | CollectionPlan) -> Iterator[str]:
    """Lines that name what two plans of one suite say otherwise: `rotnet: epochs 100 -> 200`.

    Args:
        plan: what is on the left of each arrow.
        other: what is on the right.
    """
    yield f"{plan.preset} -> {other.preset}"
    ours, theirs = ({(run.key, run.config.seed): run.config for run in each.runs} for each in (plan, other))
    found = False
    for key, seed in dict.fromkeys([*ours, *theirs]):
        if (key, seed) not in ours or (key, seed) not in theirs:
            yield f"{key}, seed {seed}: only in {plan.preset if (key, seed) in ours else other.preset}"
            found = True
            continue
        left, right = (_shown_values(configs[key, seed]) for configs in (ours, theirs))
        changed = (name for name in left if name in right and left[name] != right[name] and name != "backbone")
        differ = [f"{name} {left[name]} -> {right[name]}" for name in changed]
        if differ:
            yield f"{key}, seed {seed}: {', '.join(differ)}"
            found = True
    if not found:
        yield "no run differs"


def _does(run: PlannedRun) -> str:
    state = run.directory.state
    if run.directory.lacks_page:
        return "is finished, page missing: it would be made"
    if (culprit := run.damaged) and culprit is not run:
        return f"would not run ({state}), since {culprit.key}, which it builds on, is damaged"
    return f"is {state}" if state in ("finished", "damaged") else f"would run ({state})"


def _explained(run: PlannedRun) -> Iterator[str]:
    values = _shown_values(run.config)
    widths = [max(map(len, column)) for column in (values, values.values())]
    for name, value in values.items():
        yield f"    {name:{widths[0]}}  {value:{widths[1]}}  {run.origins[name]}"


def _changes(config: RunConfig) -> str:
    """`epochs 5 (100), lr 0.05 (0.1)`: the run's values, and the protocol's behind them."""
    return ", ".join(
        f"{name} {_text(config, name, ours)} ({_text(config, name, theirs)})"
        for name, (theirs, ours) in config.protocol_differences().items()
    )


def _shown_values(config: RunConfig) -> dict[str, str]:
    """The parameters that decide what a run computes, as text."""
    values = config.model_dump(mode="json")
    return {name: _text(config, name, value) for name, value in values.items() if config.role(name) != "execution"}


def _text(config: RunConfig, name: str, value: Any) -> str:
    """A value as `SET` takes it: None by the parameter's word for it."""
    if value is None:
        return next((word for word in config.words(name) if word in UNLIMITED), "null")
    return value if isinstance(value, str) else json.dumps(value)


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", about {seconds / 3600:.1f} h" if seconds > 3600 else f", about {max(1, round(seconds / 60))} min"


def _seconds_here(plan: Plan | CollectionPlan) -> dict[str, float]:
    """Name of a run -> the seconds that it may take here: those of a finished run like it, by epochs and training images."""
    rates: dict[str, float] = {}
    for run in finished_runs(from_project(plan.options.runs)):
        result = run.result()
        if (work := _work(result.parameters, result)) is not None:
            rates.setdefault(_kind(result.stage, result.parameters), result.wall_seconds / work)
    found = {}
    for planned in plan.runs:
        parameters = planned.config.model_dump(mode="json")
        rate = rates.get(_kind(planned.config.stage, parameters))
        if rate is not None and (work := _work(parameters, None)) is not None:
            found[planned.name] = rate * work
    return found


def _kind(stage: str, parameters: Mapping[str, Any]) -> str:
    return json.dumps([stage, *(parameters.get(name) for name in _ALIKE)])


def _work(parameters: Mapping[str, Any], result: RunResult | None) -> float | None:
    """Epochs times training images; of a run that trains otherwise 1; None where the number of images is not known."""
    if "epochs" not in parameters:
        return 1.0
    if result:
        return float(parameters["epochs"] * result.data.train_images)
    if parameters["train_size"] is None:
        return None
    return float(parameters["epochs"] * parameters["train_size"] * (1 - (parameters["validate"] or 0)))
