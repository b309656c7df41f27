"""From a suite, a preset and the user's overrides to runs with names: everything is checked before any kernel starts."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

from rotnet_lib.data.source import DATASETS, own_folder
from rotnet_lib.data.voc.source import VOC_SETS
from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.files import write_text
from rotnet_lib.paths import from_project, short_name
from rotnet_lib.runs.config import ImagesConfig, RunConfig
from rotnet_lib.runs.directory import PLAN, RunDirectory, directory_of
from rotnet_lib.runs.plain import plain_values
from rotnet_lib.runs.resolution import Resolved
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.methods import asked_for, usual_options
from rotnet_lib.suites.overrides import DECIDED, Override, parse_overrides
from rotnet_lib.suites.presets import preset_named
from rotnet_lib.suites.resolve import OwnCounts, choose_preset, own_counts
from rotnet_lib.suites.resolve_row import own_arch, own_dataset, resolve_row
from rotnet_lib.suites.suite import (
    Collection,
    Suite,
    SuiteRun,
    check_suite,
    collection_names,
    load_collection,
    load_suite,
    suites_with_methods,
)
from rotnet_lib.training.devices import gpu_name
from rotnet_lib.voc.config import VocConfig

MOST_SEEDS = 1000
"""More than any mean needs; each is a run of every row, which is planned before the first one starts."""


@dataclass(frozen=True)
class Options:
    """What a user says about a suite, on the command line or through the Makefile's variables."""

    preset: str | None = None
    dataset: str | None = None
    seeds: int | None = None
    """None: as many as the suite says, one in a collection."""
    set: str = ""
    runs: str = "runs"
    methods: str | None = None

    def __post_init__(self) -> None:
        """Raises RotnetError for an option of another type, for text that cannot be written, and for too many seeds."""
        for name, value in vars(self).items():
            may_be_left_out = name in ("preset", "dataset", "methods")
            if name != "seeds" and not isinstance(value, str) and not (value is None and may_be_left_out):
                raise RotnetError(f"{name}: text is needed, not {shown(value)}.")
        if isinstance(self.seeds, bool) or not (
            self.seeds is None or (isinstance(self.seeds, int) and 1 <= self.seeds <= MOST_SEEDS)
        ):
            raise RotnetError(f"seeds: at least 1, not {shown(self.seeds)} (and at most {MOST_SEEDS}).")
        plain_values("suite", vars(self))


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Attributes:
        key: its name in the suite.
        config: complete.
        directory: where it lives.
        upstream: the runs it builds on.
        dataset: the dataset the suite names; the preset or the user may have replaced it.
        departures: parameter, or option of one (`task_options.bank`) -> [the suite's value, here], where an override made it
            another experiment, or the preset changed an option.
        origins: parameter -> where its value comes from.
    """

    key: str
    config: RunConfig
    directory: RunDirectory
    upstream: "tuple[PlannedRun, ...]"
    dataset: str
    departures: dict[str, list[Any]]
    origins: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def damaged(self) -> "PlannedRun | None":
        """The damaged run for whose sake this one cannot be made: itself, or one that it builds on; None if there is none."""
        if self.directory.damage:
            return self
        return next((found for run in self.upstream if (found := run.damaged)), None)


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
        """Of the suite of which it says most: one with VOC tasks names their data too."""
        return max((part.preset_description for part in self.parts), key=len)

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
    return from_project(options.runs) / short_name(f"{name}-{preset}", f"-{digest}")


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
                "dataset": run.dataset,
                "departures": run.departures,
            }
            for run in plan.runs
        ],
    }
    write_text(path, json.dumps(document, indent=1))
    return path


fingerprint_of: Callable[[RunConfig], str] = methodcaller("fingerprint")
"""The fingerprint of a config's data; see `RunConfig.fingerprint`."""


def make_plan(
    name: str,
    options: Options,
    fingerprint: Callable[[RunConfig], str] = fingerprint_of,
    gpu: Callable[[], str | None] = gpu_name,
) -> Plan | CollectionPlan:
    """Resolve a suite or a collection of suites.

    A run's parameters come, each over the one before, from: the protocol, the preset, the backbone's run, the suite (but for
    its dataset, which the preset or the dataset asked for may stand in for), the overrides. See `StageConfig.resolve`.

    Args:
        name: of the suite or the collection.
        options: what the user says.
        fingerprint: of a run's data, part of the run's name; another than the usual one plans for data that is not here.
        gpu: the name of this machine's GPU, or None; asked where the user names no preset.

    Raises:
        RotnetError: an unknown suite, preset, parameter, arch, layer or dataset, a wrong value, or data that is not here.
    """
    if name not in collection_names():
        return plan_suite(name, options, fingerprint, gpu)
    collection = load_collection(name)
    return CollectionPlan(collection, _plans(name, collection.suites, options, fingerprint, gpu))


def plan_suite(
    name: str,
    options: Options,
    fingerprint: Callable[[RunConfig], str] = fingerprint_of,
    gpu: Callable[[], str | None] = gpu_name,
) -> Plan:
    """Resolve one suite, as `make_plan` does."""
    [plan] = _plans(name, [name], options, fingerprint, gpu)
    return plan


def _plans(
    name: str,
    suite_names: list[str],
    options: Options,
    fingerprint: Callable[[RunConfig], str],
    gpu: Callable[[], str | None],
) -> tuple[Plan, ...]:
    for suite_name in suite_names:
        check_suite(suite_name)  # first: whether there is a GPU may take seconds to find out
    _check_methods(name, suite_names, options.methods)
    preset_name, reason = choose_preset(options.preset, gpu)
    preset = preset_named(preset_name)
    suites = [load_suite(suite, preset.sweeps, options.methods) for suite in suite_names]
    notebooks = {run.notebook for suite in suites for run in suite.runs.values()}
    if options.dataset and not any(STAGES[notebook].config.takes(options.dataset) for notebook in notebooks):
        images, voc = (
            any(issubclass(STAGES[notebook].config, kind) for notebook in notebooks) for kind in (ImagesConfig, VocConfig)
        )
        error = unknown(f"dataset of {name}", options.dataset, (*(DATASETS if images else ()), *(VOC_SETS if voc else ())))
        raise RotnetError(f"{error}{own_folder(options.dataset, VOC_SETS) if voc else own_folder(options.dataset, DATASETS)}")
    not_asked = dict.fromkeys(method.name for suite in suites for method in suite.methods if not method.asked)
    overrides = parse_overrides(options.set, name, runs_by_key(suites), not_asked)
    count = functools.cache(own_counts)
    taken: dict[tuple[Any, ...], str] = {}

    def once(config: RunConfig) -> str:
        """Taking a fingerprint lists every file of an image folder, and many runs share their data."""
        data = config.source()
        if data not in taken:
            taken[data] = fingerprint(config)
        return taken[data]

    return tuple(
        Plan(
            suite,
            preset_name,
            reason,
            preset.described(options.dataset, voc=_has_voc(suite)),
            options,
            _planned(suite, preset_name, options, seeds, overrides, once, count),
        )
        for suite, seeds in ((one, options.seeds or (one.seeds if one.name == name else 1)) for one in suites)
    )


def _has_voc(suite: Suite) -> bool:
    return any(issubclass(STAGES[run.notebook].config, VocConfig) for run in suite.runs.values())


def _check_methods(name: str, suite_names: list[str], methods: str | None) -> None:
    """Raises RotnetError if METHODS names what is no method, or is said where no suite has rows for methods."""
    asked_for(methods)
    having = suites_with_methods()
    if methods is not None and not any(suite in having for suite in suite_names):
        raise RotnetError(f"METHODS: {name} has no rows for methods. Leave METHODS out. Suites that have: {', '.join(having)}.")


def runs_by_key(suites: list[Suite]) -> dict[str, SuiteRun]:
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
    preset: str,
    options: Options,
    seeds: int,
    overrides: list[Override],
    fingerprint: Callable[[RunConfig], str],
    count: OwnCounts,
) -> tuple[PlannedRun, ...]:
    planned: list[PlannedRun] = []
    for seed in range(seeds):
        of_seed: dict[str, PlannedRun] = {}
        for key in upstream_first(suite):
            run = suite.runs[key]
            settings = (suite, key, of_seed, seed, preset, options)
            asked = resolve_row(*settings, [], count)
            suite.check_metrics(key, asked.config.metric_names)  # before the overrides: the user may ask for a task with others
            resolved = resolve_row(*settings, overrides, count)
            config = resolved.config
            upstream = tuple(of_seed[name] for name in run.upstream)
            directory = directory_of(config, fingerprint(config))
            departures = _departures(asked.config, config)
            for place, pair in _presets_options(asked, config, own_arch(suite, key), preset):
                departures[place] = pair
            of_seed[key] = PlannedRun(key, config, directory, upstream, own_dataset(suite, key), departures, resolved.origins)
        planned += of_seed.values()
    return tuple(planned)


def _departures(asked: RunConfig, config: RunConfig) -> dict[str, list[Any]]:
    """Overrides that make this another experiment than the suite's. Changes of an upstream run are listed under that run."""
    suite, user = asked.model_dump(mode="json"), config.model_dump(mode="json")
    found: dict[str, list[Any]] = {}
    for name in user:
        if config.role(name) == "experiment" and name not in DECIDED:
            found |= _different(name, suite[name], user[name])
    return found


def _presets_options(asked: Resolved[RunConfig], config: RunConfig, arch: str, preset: str) -> Iterator[tuple[str, list[Any]]]:
    """(option, [its value without the preset, here]) for what the preset says of a task's options: no protocol lists it.

    Args:
        asked: the run without the user's overrides.
        config: the run.
        arch: the suite's.
        preset: its name.
    """
    if not isinstance(asked.config, PretrainConfig) or not isinstance(config, PretrainConfig):
        return
    if config.task != asked.config.task:
        return
    usual = usual_options(config.task, arch)
    for key, value in config.task_options.items():
        if asked.origins.get(f"task_options.{key}", "").endswith(f"preset {preset}") and value != usual[key]:
            yield f"task_options.{key}", [usual[key], value]


def _different(name: str, asked: Any, here: Any) -> dict[str, list[Any]]:
    """Name -> [asked, here] if they differ; of dictionaries the keys that differ, as far as both have them."""
    if isinstance(asked, dict) and isinstance(here, dict):
        return {f"{name}.{key}": [asked[key], here[key]] for key in here if key in asked and asked[key] != here[key]}
    return {name: [asked, here]} if asked != here else {}


def upstream_first(suite: Suite) -> list[str]:
    """The keys of a suite's runs, each behind those it builds on. Raises RotnetError if runs build on each other."""
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
