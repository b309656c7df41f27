"""From a suite, a preset and the user's overrides to runs with names: everything is checked before any kernel starts."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rotnet_lib.config import TrainingConfig
from rotnet_lib.errors import RotnetError
from rotnet_lib.files import write_text
from rotnet_lib.paths import from_project
from rotnet_lib.runs import RunDirectory
from rotnet_lib.stage import directory_of, fingerprint_of
from rotnet_lib.suites.overrides import DECIDED, Override, parse_overrides
from rotnet_lib.suites.stages import STAGES
from rotnet_lib.suites.suite import Preset, Suite, SuiteRun, load_suite, preset_named

PLAN = "plan.json"


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
        upstream: the run it builds on.
        departures: parameter -> [the suite's value, the user's], where an override made it another experiment.
    """

    key: str
    config: TrainingConfig
    directory: RunDirectory
    upstream: "PlannedRun | None"
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
        digest = hashlib.sha256(" ".join(run.name for run in self.runs).encode()).hexdigest()[:8]
        return from_project(self.options.runs) / f"{self.suite.name}-{self.preset}-{digest}"

    def write(self) -> Path:
        """Write `plan.json` into the suite's directory: what Snakemake and the report notebook read."""
        path = self.directory / PLAN
        document = {
            "suite": self.suite.model_dump(),
            "preset": self.preset,
            "preset_reason": self.preset_reason,
            "preset_description": self.preset_description,
            "options": asdict(self.options),
            "runs": [
                {
                    "key": run.key,
                    "name": run.name,
                    "notebook": run.config.stage,
                    "upstream": run.upstream.name if run.upstream else None,
                    "parameters": run.config.model_dump(mode="json"),
                    "departures": run.departures,
                }
                for run in self.runs
            ],
        }
        write_text(path, json.dumps(document, indent=1))
        return path


def make_plan(suite_name: str, options: Options) -> Plan:
    """Resolve a suite.

    A run's parameters come, each over the one before, from: the protocol (config defaults), the preset, the suite, the
    dataset asked for, the run it builds on (arch and width), the overrides.

    Raises:
        RotnetError: an unknown suite, preset, parameter, arch, layer or dataset, a wrong value, or data that is not here.
    """
    suite = load_suite(suite_name)
    preset_name, reason = _choose_preset(options.preset)
    preset = preset_named(preset_name)
    if options.seeds < 1:
        raise RotnetError(f"seeds: at least 1, not {options.seeds}.")
    overrides = parse_overrides(options.set, suite)
    planned: list[PlannedRun] = []
    fingerprints: dict[tuple[str, int | None], str] = {}
    for seed in range(options.seeds):
        of_seed: dict[str, PlannedRun] = {}
        for key in _upstream_first(suite):
            upstream = of_seed.get(suite.runs[key].backbone or "")
            settings = (key, suite.runs[key], preset, upstream, seed, options)
            config = _configure(*settings, overrides)
            departures = _departures(_configure(*settings, []), config) if overrides else {}
            data = (config.dataset, config.image_size)
            if data not in fingerprints:  # taking one lists every file of an image folder
                fingerprints[data] = fingerprint_of(config)
            of_seed[key] = PlannedRun(key, config, directory_of(config, fingerprints[data]), upstream, departures)
        planned += of_seed.values()
    return Plan(suite, preset_name, reason, preset.description, options, tuple(planned))


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
    upstream: PlannedRun | None,
    seed: int,
    options: Options,
    overrides: list[Override],
) -> TrainingConfig:
    schema = STAGES[run.notebook]
    values: dict[str, Any] = preset.parameters(run) | run.set | {"seed": seed, "runs": options.runs}
    if options.dataset:
        values["dataset"] = options.dataset
    if run.backbone:
        # Written out, so that the config does not ask a run that does not exist yet.
        values.setdefault("dataset", TrainingConfig.model_fields["dataset"].default)
        values["backbone"] = upstream.name if upstream else run.backbone
    if upstream:
        made = upstream.config.model_dump()
        values |= {"arch": made["arch"], "width": made["width"]}
    for override in overrides:
        override.apply(key, run, values)
    if upstream and (values["arch"], values["width"]) != (made["arch"], made["width"]):
        raise RotnetError(
            f"SET: {key} builds on {upstream.key}, so its arch and width are those: {made['arch']}, {made['width']:g}. "
            f"To change them, set {upstream.key}.arch or {upstream.key}.width."
        )
    return schema.build(values)


def _departures(asked: TrainingConfig, config: TrainingConfig) -> dict[str, list[Any]]:
    """Where a run's experiment is no longer the suite's. What it builds on is told of that run."""
    suite, user = asked.model_dump(mode="json"), config.model_dump(mode="json")
    experiment = (name for name in user if config.role(name) == "experiment" and name not in DECIDED)
    return {name: [suite[name], user[name]] for name in experiment if suite[name] != user[name]}


def _upstream_first(suite: Suite) -> list[str]:
    order: list[str] = []

    def visit(key: str, seen: tuple[str, ...]) -> None:
        if key in seen:
            raise RotnetError(f"suites/{suite.name}.yaml: {' -> '.join((*seen, key))} build on each other.")
        backbone = suite.runs[key].backbone
        if backbone in suite.runs:
            visit(str(backbone), (*seen, key))
        if key not in order:
            order.append(key)

    for key in suite.runs:
        visit(key, ())
    return order
