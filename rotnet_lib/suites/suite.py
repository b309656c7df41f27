"""Suite and preset YAML, typed."""

from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rotnet_lib.errors import RotnetError, unknown
from rotnet_lib.report.published import published_rows
from rotnet_lib.suites.stages import STAGES

_PRESETS = "presets"

Model = TypeVar("Model", bound=BaseModel)


class SuiteRun(BaseModel):
    """One run of a suite: a notebook, what it builds on, and the parameters that make it this experiment."""

    model_config = ConfigDict(extra="forbid")

    notebook: str
    backbone: str | None = Field(None, description="key of the run whose backbone is taken, or `random`")
    set: dict[str, Any] = Field(default_factory=dict)


class SuiteRow(BaseModel):
    """A row of the table: its published label, and the run and metric that measure it."""

    model_config = ConfigDict(extra="forbid")

    label: str
    run: str
    metric: str


class Suite(BaseModel):
    """A published table or figure, and the runs that reproduce it (`suites/<name>.yaml`)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    data: str
    """Title of the data that the published figures were measured on."""
    published: str
    source: str
    runs: dict[str, SuiteRun]
    rows: list[SuiteRow]

    @model_validator(mode="after")
    def _consistent(self) -> "Suite":
        for key, run in self.runs.items():
            if run.notebook not in STAGES:
                raise ValueError(str(unknown(f"notebook of run '{key}'", run.notebook, STAGES)))
            if run.backbone not in (None, "random", *self.runs):
                raise ValueError(str(unknown(f"backbone of run '{key}'", str(run.backbone), ("random", *self.runs))))
        for row in self.rows:
            if row.run not in self.runs:
                raise ValueError(str(unknown(f"run of row '{row.label}'", row.run, self.runs)))
            if row.label not in published_rows(self.published):
                raise ValueError(str(unknown(f"row of {self.published}", row.label, published_rows(self.published))))
        return self


class Preset(BaseModel):
    """A way to run every suite: parameters for all runs, for a notebook, or for a kind of run of it.

    `set` is keyed by `all`, a notebook (`probe`), or a notebook and its task or classifier (`pretrain.rotation`);
    the more special key wins.
    """

    model_config = ConfigDict(extra="forbid")

    description: str
    set: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def parameters(self, run: SuiteRun) -> dict[str, Any]:
        """What this preset says to a run."""
        kind = run.set.get("task") or run.set.get("classifier")
        merged: dict[str, Any] = {}
        for key in ("all", run.notebook, f"{run.notebook}.{kind}"):
            merged |= self.set.get(key, {})
        return merged


def suite_names() -> list[str]:
    """The suites there are."""
    files = resources.files("rotnet_lib.suites").iterdir()
    names = (Path(file.name).stem for file in files if file.name.endswith(".yaml"))
    return sorted(name for name in names if name != _PRESETS)


def load_suite(name: str) -> Suite:
    """The suite of that name. Raises RotnetError if it is unknown or its YAML is not consistent."""
    if name not in suite_names():
        raise unknown("suite", name, suite_names())
    return _parse(Suite, {"name": name} | _read(name), f"suites/{name}.yaml")


def load_presets() -> dict[str, Preset]:
    """Name -> preset."""
    return {name: _parse(Preset, values, f"presets.yaml, {name}") for name, values in _read(_PRESETS).items()}


def preset_named(name: str) -> Preset:
    """The preset of that name. Raises RotnetError if there is none."""
    presets = load_presets()
    if name not in presets:
        raise unknown("preset", name, presets)
    return presets[name]


def _read(name: str) -> dict[str, Any]:
    text = (resources.files("rotnet_lib.suites") / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def _parse(schema: type[Model], values: dict[str, Any], where: str) -> Model:
    try:
        return schema(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise RotnetError(f"{where}: {'.'.join(map(str, problem['loc']))} {problem['msg']}") from None
