"""From a suite, a preset and the user's overrides to runs with names: everything is checked before any kernel starts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rotnet_lib.config import RunConfig, TrainingConfig
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.paths import from_project
from rotnet_lib.runs import PLAN, RunDirectory
from rotnet_lib.stage import directory_of, fingerprint_of
from rotnet_lib.suites.overrides import DECIDED, Override, parse_overrides
from rotnet_lib.suites.stages import STAGES
from rotnet_lib.suites.suite import (
    Collection,
    Preset,
    Suite,
    SuiteRun,
    collection_names,
    load_collection,
    load_suite,
    preset_named,
)


@dataclass(frozen=True)
class Options:
    """What a user says about a suite, on the command line or through the Makefile's variables."""

    preset: str | None = None
    dataset: str | None = None
    seeds: int = 1
    set: str = ""
    runs: str = "runs"


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Attributes:
        key: its name in the suite.
        config: complete.
        directory: where it lives.
        upstream: the runs it builds on.
        departures: parameter -> [the suite's value, the user's], where an override made it another experiment.
    """

    key: str
    config: RunConfig
    directory: RunDirectory
    upstream: "tuple[PlannedRun, ...]"
    departures: dict[str, list[Any]]

    @property
    def name(self) -> str:
        return self.directory.name


@dataclass(frozen=True)
class Plan:
    """The runs of a suite, for each seed, upstream runs first."""

    suite: Suite
    preset: str
    preset_reason: str
    preset_description: str
    options: Options
    runs: tuple[PlannedRun, ...]

    @property
    def directory(self) -> Path:
        """Where the suite's report goes: named from the runs in it."""
        return _directory(self.suite.name, self.preset, self.options, self.runs)

    @property
    def parts(self) -> "tuple[Plan, ...]":
        """The suites to report on."""
        return (self,)

    def write(self) -> Path:
        """Write `plan.json` into the suite's directory: what Snakemake and the report notebook read."""
        return _write(self, {"suite": self.suite.model_dump()})


@dataclass(frozen=True)
class CollectionPlan:
    """The plans of several suites, made together: a run that several need is made once."""

    collection: Collection
    parts: tuple[Plan, ...]

    @property
    def preset(self) -> str:
        return self.parts[0].preset

    @property
    def preset_reason(self) -> str:
        return self.parts[0].preset_reason

    @property
    def preset_description(self) -> str:
        return self.parts[0].preset_description

    @property
    def options(self) -> Options:
        return self.parts[0].options

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """Of all suites, each once, upstream runs first."""
        found: dict[str, PlannedRun] = {}
        for part in self.parts:
            for run in part.runs:
                found.setdefault(run.name, run)
        return tuple(found.values())

    @property
    def directory(self) -> Path:
        """Where the page that sums up the suites goes."""
        return _directory(self.collection.name, self.preset, self.options, self.runs)

    def write(self) -> Path:
        """Write `plan.json` into the collection's directory: what Snakemake reads."""
        parts = {part.suite.name: part.directory.name for part in self.parts}
        return _write(self, {"collection": self.collection.model_dump() | {"parts": parts}})


def _directory(name: str, preset: str, options: Options, runs: tuple[PlannedRun, ...]) -> Path:
    digest = hashlib.sha256(" ".join(run.name for run in runs).encode()).hexdigest()[:8]
    return from_project(options.runs) / f"{name}-{preset}-{digest}"


def _write(plan: Plan | CollectionPlan, what: dict[str, Any]) -> Path:
    path = plan.directory / PLAN
    document = what | {
        "preset": plan.preset,
        "preset_reason": plan.preset_reason,
        "preset_description": plan.preset_description,
        "options": asdict(plan.options),
        "runs": [
            {
                "key": run.key,
                "name": run.name,
                "notebook": run.config.stage,
                "upstream": [upstream.name for upstream in run.upstream],
                "parameters": run.config.model_dump(mode="json"),
                "departures": run.departures,
            }
            for run in plan.runs
        ],
    }
    write_text(path, json.dumps(document, indent=1))
    return path


def make_plan(name: str, options: Options) -> Plan | CollectionPlan:
    """Resolve a suite or a collection of suites.

    A run's parameters come, each over the one before, from: the protocol (config defaults), the preset, the suite, the
    dataset asked for, the run it builds on (arch and width), the overrides.

    Raises:
        RotnetError: an unknown suite, preset, parameter, arch, layer or dataset, a wrong value, or data that is not here.
    """
    if name not in collection_names():
        return plan_suite(name, options)
    collection = load_collection(name)
    return CollectionPlan(collection, _plans(name, collection.suites, options))


def plan_suite(name: str, options: Options) -> Plan:
    """Resolve one suite, as `make_plan` does."""
    [plan] = _plans(name, [name], options)
    return plan


def _plans(name: str, suite_names: list[str], options: Options) -> tuple[Plan, ...]:
    preset_name, reason = _choose_preset(options.preset)
    preset = preset_named(preset_name)
    if options.seeds < 1:
        raise RotnetError(f"seeds: at least 1, not {options.seeds}.")
    suites = [load_suite(suite, preset.sweeps) for suite in suite_names]
    overrides = parse_overrides(options.set, name, _runs_by_key(suites))
    fingerprints: dict[tuple[str, int | None], str] = {}
    return tuple(
        Plan(suite, preset_name, reason, preset.description, options, _planned(suite, preset, options, overrides, fingerprints))
        for suite in suites
    )


def _runs_by_key(suites: list[Suite]) -> dict[str, SuiteRun]:
    """The runs of suites that are made together. Raises RotnetError if a key means two runs: an override could not tell."""
    found: dict[str, SuiteRun] = {}
    for suite in suites:
        for key, run in suite.runs.items():
            if found.setdefault(key, run) != run:
                raise RotnetError(
                    f"suites/{suite.name}.yaml: run '{key}' is another run in a suite made together with it. Rename it."
                )
    return found


def _planned(
    suite: Suite,
    preset: Preset,
    options: Options,
    overrides: list[Override],
    fingerprints: dict[tuple[str, int | None], str],
) -> tuple[PlannedRun, ...]:
    """The runs of a suite. `fingerprints` remembers those taken, since taking one lists every file of an image folder."""
    planned: list[PlannedRun] = []
    for seed in range(options.seeds):
        of_seed: dict[str, PlannedRun] = {}
        for key in _upstream_first(suite):
            settings = (key, suite.runs[key], preset, of_seed, seed, options)
            config = _configure(*settings, overrides)
            departures = _departures(_configure(*settings, []), config) if overrides else {}
            data = (config.dataset, config.image_size)
            if data not in fingerprints:
                fingerprints[data] = fingerprint_of(config)
            upstream = tuple(of_seed[name] for name in suite.runs[key].upstream)
            of_seed[key] = PlannedRun(key, config, directory_of(config, fingerprints[data]), upstream, departures)
        planned += of_seed.values()
    return tuple(planned)


def _choose_preset(asked: str | None) -> tuple[str, str]:
    if asked:
        return asked, "as asked"
    if torch.cuda.is_available():
        return "paper", f"there is a GPU ({torch.cuda.get_device_name()}); PRESET=quick takes minutes instead"
    return "quick", "torch sees no GPU here; PRESET=paper asks for the published schedule all the same"


def _configure(
    key: str,
    run: SuiteRun,
    preset: Preset,
    made: Mapping[str, PlannedRun],
    seed: int,
    options: Options,
    overrides: list[Override],
) -> RunConfig:
    schema = STAGES[run.notebook]
    values: dict[str, Any] = preset.parameters(run, options.dataset) | run.set | {"seed": seed, "runs": options.runs}
    values |= {name: made[other].name for name, other in run.references.items()}
    backbone = made.get(run.backbone or "")
    if run.backbone:
        # Written out, so that the config does not ask a run that does not exist yet.
        values.setdefault("dataset", TrainingConfig.model_fields["dataset"].default)
        values["backbone"] = backbone.name if backbone else run.backbone
    followed = {}
    if backbone:
        parameters = backbone.config.model_dump()
        followed = {name: parameters[name] for name in ("arch", "width")}
    values |= followed
    for override in overrides:
        override.apply(key, run, values)
    if run.backbone:
        values.setdefault("grey", parameters["grey"] if backbone else False)
    if backbone and any(values[name] != value for name, value in followed.items()):
        raise RotnetError(
            f"SET: {key} builds on {backbone.key}, so its arch and width are those: {followed['arch']}, {followed['width']:g}. "
            f"To change them, set {backbone.key}.arch or {backbone.key}.width."
        )
    return schema.build(values)


def _departures(asked: RunConfig, config: RunConfig) -> dict[str, list[Any]]:
    """Where a run's experiment is no longer the suite's. What it builds on is told of that run."""
    suite, user = asked.model_dump(mode="json"), config.model_dump(mode="json")
    experiment = (name for name in user if config.role(name) == "experiment" and name not in DECIDED)
    return {name: [suite[name], user[name]] for name in experiment if suite[name] != user[name]}


def _upstream_first(suite: Suite) -> list[str]:
    order: list[str] = []

    def visit(key: str, seen: tuple[str, ...]) -> None:
        if key in seen:
            raise RotnetError(f"suites/{suite.name}.yaml: {' -> '.join((*seen, key))} build on each other.")
        for other in suite.runs[key].upstream:
            visit(other, (*seen, key))
        if key not in order:
            order.append(key)

    for key in suite.runs:
        visit(key, ())
    return order
