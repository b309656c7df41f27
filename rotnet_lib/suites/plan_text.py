"""A plan for a person: runs in order, how long they may take, what is not the protocol's, where each value comes from."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.suites.plan import CollectionPlan, Plan, PlannedRun
from rotnet_lib.suites.run_lengths import duration, seconds_here


class FoundData:
    """Fingerprints for a plan that is only shown: what is wrong with data that cannot be opened is noted.

    Attributes:
        problems: dataset -> what is wrong with it.
    """

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def __call__(self, config: RunConfig) -> str:
        """The fingerprint of a config's data; of data that cannot be opened an empty one."""
        try:
            return config.fingerprint()
        except RotnetError as error:
            self.problems[config.dataset] = str(error)
            return ""


def plan_lines(plan: Plan | CollectionPlan, problems: Mapping[str, str], *, explain: bool = False) -> Iterator[str]:
    """Lines that say what making a plan would do.

    Args:
        plan: of a suite, or of a collection of suites.
        problems: datasets that cannot be opened, and why; see `FoundData`.
        explain: list every parameter of each run with its origin, instead of what differs from the protocol.
    """
    yield f"preset {plan.preset}: {plan.preset_reason}."
    yield f"  {plan.preset_description}"
    yield from _method_lines(plan)
    seconds = seconds_here(plan)
    for run in plan.runs:
        missing = _missing_data(run, problems)
        here = not missing
        does = _does(run) if here else f"cannot run: {missing} cannot be opened"
        length = _length(seconds.get(run.name)) if "would run" in does else ""
        where = f": {run.directory.path}" if here else ""  # without the data its name is not known
        yield f"{run.key}, seed {run.config.seed}: {does}{length}{where}"
        if explain:
            yield from _explained(run)
        elif changed := _changes(run):
            yield f"    not the protocol's: {changed}"
    for dataset, problem in problems.items():
        yield f"{dataset} cannot be opened: {problem}"
    wanted = [
        run.name for run in plan.runs if not _missing_data(run, problems) and not run.directory.finished and not run.damaged
    ]
    known = [seconds[name] for name in wanted if name in seconds]
    if known:
        yield f"{len(known)} of {len(wanted)} to make{_length(sum(known))}, one after the other, by finished runs like them"
    elif wanted:
        yield f"how long: no finished run is like these; `{_bench(plan)}` measures it"


def _bench(plan: Plan | CollectionPlan) -> str:
    """The command that measures how long a plan takes here."""
    name = plan.suite.name if isinstance(plan, Plan) else plan.collection.name
    said = {option: getattr(plan.options, option) for option in ("methods", "dataset", "seeds", "set")}
    others = [f"--{option} {shlex.quote(str(value))}" for option, value in said.items() if value not in (None, "")]
    return " ".join([f"rotnet bench --plan {name} --preset {plan.preset}", *others])


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
        # The names of other runs differ with anything in them.
        names = [name for name in left if name in right and name not in ("backbone", "others", "pu_weights", "compare")]
        changed = (name for name in names if left[name] != right[name])
        differ = [f"{name} {left[name]} -> {right[name]}" for name in changed]
        if differ:
            yield f"{key}, seed {seed}: {', '.join(differ)}"
            found = True
    if not found:
        yield "no run differs"


def _method_lines(plan: Plan | CollectionPlan) -> Iterator[str]:
    """Which methods have rows, what they need, and how to get the others; nothing of a suite without rows for methods."""
    methods = next((part.suite.methods for part in plan.parts if part.suite.methods), [])
    asked = [method for method in methods if method.asked]
    others = [method.name for method in methods if not method.asked]
    if methods:
        more = f"; METHODS=all adds {', '.join(others)}" if others else ""
        yield f"methods: {', '.join(method.name for method in asked) or 'none'}{more}"
    for method in asked:
        yield f"  {method.name} needs {method.needs}"


def _missing_data(run: PlannedRun, problems: Mapping[str, str]) -> str:
    """A dataset that a run, or one that it builds on, needs and that cannot be opened; empty if there is none."""
    if run.config.dataset in problems:
        return run.config.dataset
    return next(filter(None, (_missing_data(other, problems) for other in run.upstream)), "")


def _does(run: PlannedRun) -> str:
    state = run.directory.state
    if run.directory.lacks_page:
        return "is finished, page missing: it would be made"
    if (culprit := run.damaged) and culprit is not run:
        return f"would not run ({state}), since {culprit.key}, which it builds on, is damaged"
    return f"is {state}" if state in ("finished", "damaged") else f"would run ({state})"


def _explained(run: PlannedRun) -> Iterator[str]:
    values: dict[str, str] = {}
    for name, text in _shown_values(run.config, tuple(run.origins)).items():
        keys = getattr(run.config, name) if run.config.has_keys(name) else {}
        values |= {f"{name}.{key}": _text(run.config, name, value) for key, value in keys.items()} or {name: text}
    widths = [max(map(len, column)) for column in (values, values.values())]
    for name, value in values.items():
        origin = run.origins.get(name) or run.config.usual_origin(name.partition(".")[0])
        yield f"    {name:{widths[0]}}  {value:{widths[1]}}  {origin}"


def _changes(run: PlannedRun) -> str:
    """`epochs 5 (100), lr 0.05 (0.1)`: the run's values, and behind them the protocol's, or the suite's of what it decides."""
    config = run.config
    differences = config.protocol_differences()
    differences.pop("dataset", None)  # the suite says which is the published one
    if config.dataset != run.dataset:
        differences = {"dataset": [run.dataset, config.dataset]} | differences
    differences |= run.departures
    texts = [(name, *(_text(config, name.partition(".")[0], value) for value in pair)) for name, pair in differences.items()]
    return ", ".join(f"{name} {ours} ({theirs})" for name, theirs, ours in texts)


def _shown_values(config: RunConfig, names: Sequence[str] | None = None) -> dict[str, str]:
    """Parameters as text; those that decide what a run computes, unless others are named."""
    values = config.model_dump(mode="json")
    return {
        name: _text(config, name, value)
        for name, value in values.items()
        if (name in names if names is not None else config.role(name) != "execution")
    }


def _text(config: RunConfig, name: str, value: Any) -> str:
    """A value as `SET` takes it: None by the parameter's word for it."""
    if value is None:
        return config.word_of_none(name) or "null"
    return value if isinstance(value, str) else json.dumps(value)


def _length(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)}"
