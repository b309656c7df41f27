"""Suite and preset YAML, typed."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.models import CLASSIFIERS
from rotnet_lib.pretext import TASKS
from rotnet_lib.report.published import published_table, source
from rotnet_lib.runs.plain import plain_values
from rotnet_lib.runs.protocols import BENCHMARKS, KIND, benchmark_of, general_first, recipes
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.suites.sweeps import Sheet, expand
from rotnet_lib.yaml_reader import read_yaml

_PRESETS = "presets"

_NAMES = ("arch", "dataset", *KIND)
"""Parameters that plans look up before a config is built: they are text."""

SUITES = Path(__file__).parent
"""Where the YAML files are."""

Model = TypeVar("Model", bound=BaseModel)


class SuiteRun(BaseModel):
    """One run of a suite: a notebook, what it builds on, and the parameters that make it this experiment.

    In `set`, `@key` stands for the run of that key, alone or in a list.
    """

    model_config = ConfigDict(extra="forbid")

    notebook: str
    backbone: str | None = Field(None, description="key of the run whose backbone is taken, `random` or `random-rescaled`")
    set: dict[str, Any] = Field(default_factory=dict)

    @property
    def upstream(self) -> tuple[str, ...]:
        """Keys of the runs this one builds on: its backbone's first, then those that `set` names."""
        backbone = [] if self.backbone in (None, *UNTRAINED) else [str(self.backbone)]
        named = [_referred(entry) for value in self.set.values() for entry in (value if isinstance(value, list) else [value])]
        return tuple(dict.fromkeys([*backbone, *(key for key in named if key is not None)]))

    def parameters(self, names: Mapping[str, str]) -> dict[str, Any]:
        """What `set` says, each `@key` replaced by the name of the run of that key."""

        def named(value: Any) -> Any:
            key = _referred(value)
            return value if key is None else names[key]

        return {
            name: [named(entry) for entry in value] if isinstance(value, list) else named(value)
            for name, value in self.set.items()
        }


def _referred(value: Any) -> str | None:
    return value[1:] if isinstance(value, str) and value.startswith("@") else None


class SuiteCell(BaseModel):
    """A figure of the table: the run and metric that measure it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    run: str
    metric: str
    at: float | None = Field(None, description="after this fraction of the run's epochs; None: at their end")


class SuiteRow(BaseModel):
    """A row of the table: its label, published or our own, and what measures it, by column."""

    model_config = ConfigDict(extra="forbid")

    label: str
    cells: dict[str, SuiteCell] = Field(min_length=1)
    by_target: bool = Field(False, description="one cell, shown as a column for each right answer (class)")
    published: bool = Field(True, description="whether the suite's published table has this row")


class Question(BaseModel):
    """A question that rows of the suite answer, each compared with a baseline row."""

    model_config = ConfigDict(extra="forbid")

    ask: str
    baseline: str
    against: list[str]
    column: str | None = Field(None, description="the column compared; None: the only one that the rows have")


class Suite(BaseModel):
    """A published table or figure, and the runs that reproduce it (`suites/<name>.yaml`)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    published: str | None = Field(None, description="table of published.yaml")
    source: str = "rotnet"
    measure: str = Field("top1", description="what the figures are, in percent")
    headings: dict[str, str] = Field(default_factory=dict, description="column -> how the table heads it, where otherwise")
    axis: Literal["epochs", "labels"] | None = Field(None, description="what the columns count, drawn as a curve")
    runs: dict[str, SuiteRun]
    rows: list[SuiteRow] = Field(default_factory=list)
    questions: list[Question] = Field(default_factory=list)
    changed_sweeps: dict[str, list[list[Any]]] = Field(
        default_factory=dict, description="sweeps whose values the preset changed: name -> [suite's values, preset's values]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Suite":
        parameters = {name for stage in STAGES for name in STAGES[stage].config.model_fields}
        for key, run in self.runs.items():
            if key in parameters:
                raise ValueError(f"run '{key}' is called as a parameter is, so SET could not tell the two: rename it")
            if run.notebook not in STAGES:
                raise ValueError(str(unknown(f"notebook of run '{key}'", run.notebook, STAGES)))
            for other in run.upstream:
                if other not in self.runs:
                    raise ValueError(str(unknown(f"run that '{key}' builds on,", other, (*UNTRAINED, *self.runs))))
            _check_set(key, run)
        source(self.source)
        if self.published:
            published_table(self.published)
        for row in self.rows:
            for cell in row.cells.values():
                if cell.run not in self.runs:
                    raise ValueError(str(unknown(f"run of row '{row.label}'", cell.run, self.runs)))
            if self.published and row.published and row.label not in published_table(self.published):
                raise ValueError(str(unknown(f"row of {self.published}", row.label, published_table(self.published))))
        rows = {row.label: row for row in self.rows}
        columns = [column for row in self.rows for column in row.cells]
        for column in self.headings:
            if column not in columns:
                raise ValueError(str(unknown("column with a heading,", column, columns)))
        for question in self.questions:
            _check_question(question, rows)
        return self

    def check_metrics(self, key: str, names: tuple[str, ...]) -> None:
        """Raises RotnetError if a row asks for another metric of a run than it will have.

        Args:
            key: the run's.
            names: of its metrics; see `RunConfig.metric_names`.
        """
        for row in self.rows:
            for cell in row.cells.values():
                if cell.run == key and cell.metric not in names:
                    where = f"metric of row '{row.label}', run '{key}',"
                    raise RotnetError(f"suites/{self.name}.yaml: {unknown(where, cell.metric, names)}")


def _check_set(key: str, run: SuiteRun) -> None:
    fields = STAGES[run.notebook].config.model_fields
    for name, value in run.set.items():
        if name not in fields:
            raise ValueError(str(unknown(f"parameter in `set` of run '{key}'", name, fields)))
        if name in _NAMES and not isinstance(value, str):
            raise ValueError(f"run '{key}': {name} is a name, not {shown(value)}")


def _check_question(question: Question, rows: Mapping[str, SuiteRow]) -> None:
    for label in (question.baseline, *question.against):
        if label not in rows:
            raise ValueError(str(unknown(f"row of question '{question.ask}'", label, rows)))
        columns = rows[label].cells
        if question.column is None and len(columns) > 1:
            raise ValueError(f"question '{question.ask}' needs a column: row '{label}' has {', '.join(columns)}")
        if question.column is not None and question.column not in columns:
            raise ValueError(str(unknown(f"column of question '{question.ask}'", question.column, columns)))


class Collection(BaseModel):
    """Several suites that are made together (`suites/<name>.yaml` with a list `suites`)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    suites: list[str] = Field(min_length=1)


_NOT_PRESET = ("backbone", "arch", *KIND, "dataset")
"""Parameters that a preset cannot set; what data stands in for other data, its `datasets` say."""


class Preset(BaseModel):
    """A way to run every suite: parameters for all runs, for a notebook, or for a kind of run of it, by benchmark.

    `set` is keyed by benchmark, then by `all`, a notebook (`probe`), or a notebook and its task or classifier
    (`pretrain.labels`), and for a classifier its recipe (`probe.linear.decoupling`); the more special key wins. What a notebook
    has no parameter for does not concern it.
    """

    model_config = ConfigDict(extra="forbid")

    description: str
    datasets: dict[str, str] = Field(default_factory=dict, description="what stands in for a dataset of the protocol's")
    set: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    sweeps: dict[str, list[Any]] = Field(default_factory=dict, description="values in place of the suites' own")

    @model_validator(mode="after")
    def _known_parameters(self) -> "Preset":
        for benchmark, settings in self.set.items():
            if benchmark not in BENCHMARKS:
                raise ValueError(str(unknown("benchmark", benchmark, BENCHMARKS)))
            for key, values in settings.items():
                _check_setting(benchmark, key, values)
        return self

    def parameters(self, stage: str, arch: str, kind: str, dataset: str) -> dict[str, Any]:
        """What this preset says to a run, by parameter.

        Args:
            stage: its name.
            arch: its backbone's.
            kind: see `kind_of`.
            dataset: its images. The preset's image size is for data that it puts in for other data, and else left out.
        """
        settings = self.set.get(benchmark_of(arch), {})
        merged: dict[str, Any] = {}
        for key in ("all", *general_first(".".join(filter(None, (stage, kind))))):
            merged |= settings.get(key, {})
        if dataset not in self.datasets.values():
            merged.pop("image_size", None)
        known = STAGES[stage].config.model_fields
        return {name: value for name, value in merged.items() if name in known}


def _check_setting(benchmark: str, key: str, values: Mapping[str, Any]) -> None:
    notebook, kind, recipe = (*key.split(".", 2), "", "")[:3]
    if kind and kind not in (*TASKS, *CLASSIFIERS):
        raise ValueError(str(unknown(f"task or classifier of '{key}'", kind, (*TASKS, *CLASSIFIERS))))
    known = recipes(notebook).get((benchmark, kind), [])
    if recipe and recipe not in known:
        raise ValueError(str(unknown(f"recipe of '{key}'", recipe, known)))
    stages = list(STAGES) if key == "all" else [notebook]
    allowed = {name: None for stage in stages for name in STAGES[stage].config.model_fields}
    for name in values:
        if name not in allowed:
            raise ValueError(str(unknown(f"parameter under '{key}'", name, allowed)))
        if name in _NOT_PRESET:
            raise ValueError(f"'{key}': {name} says which run it is. A preset says how to make it")


def suite_names(folder: Path = SUITES) -> list[str]:
    """The suites there are in a folder, collections of suites not among them. A file that cannot be read counts as a suite."""
    return [name for name, document in _documents(folder) if "suites" not in document]


def collection_names(folder: Path = SUITES) -> list[str]:
    """The collections of suites there are in a folder."""
    return [name for name, document in _documents(folder) if "suites" in document]


def check_suite(name: str, folder: Path = SUITES) -> None:
    """Raises RotnetError, with the suites and collections there are, if a folder has no suite of that name."""
    if name not in suite_names(folder):
        raise unknown("suite", name, [*suite_names(folder), *collection_names(folder)])


def load_suite(name: str, sweeps: Mapping[str, list[Any]] | None = None, folder: Path = SUITES) -> Suite:
    """The suite of that name.

    Args:
        name: of its file.
        sweeps: sweep -> the values it takes in place of the suite's own.
        folder: where the suites' files are.

    Raises RotnetError if it is unknown or its YAML is malformed or not consistent.
    """
    check_suite(name, folder)
    where = f"suites/{name}.yaml"
    document = _read(name, folder)
    for key in ("name", "changed_sweeps"):
        if key in document:
            raise RotnetError(f"{where}: remove the key '{key}': the file's name or the preset decides it.")
    _parse(Sheet, document, where)
    try:
        expanded = expand(document, sweeps or {})
    except RotnetError as error:
        raise RotnetError(f"{where}: {error}") from None
    return _parse(Suite, {"name": name} | expanded, where)


def load_collection(name: str, folder: Path = SUITES) -> Collection:
    """The collection of that name. Raises RotnetError if its YAML is malformed."""
    return _parse(Collection, _read(name, folder) | {"name": name}, f"suites/{name}.yaml")


def load_presets(folder: Path = SUITES) -> dict[str, Preset]:
    """Name -> preset. Raises RotnetError as `preset_named`, for the first that is malformed."""
    return {name: preset_named(name, folder) for name in _read(_PRESETS, folder)}


def preset_named(name: str, folder: Path = SUITES) -> Preset:
    """The preset of that name. Raises RotnetError if there is none, or it is malformed; what the others are does not matter."""
    presets = _read(_PRESETS, folder)
    if name not in presets:
        raise unknown("preset", name, presets)
    return _parse(Preset, presets[name], f"presets.yaml, {name}")


def _documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each file; no content of one that cannot be read: `load_suite` says what is wrong with it."""
    for file in sorted(folder.glob("*.yaml"), key=lambda file: file.stem):
        if file.stem == _PRESETS or not (file.is_file() or file.is_symlink()):
            continue
        try:
            yield file.stem, _read(file.stem, folder)
        except RotnetError:
            yield file.stem, {}


def _read(name: str, folder: Path) -> dict[str, Any]:
    """A YAML as it is. Not to be changed: read once, since planning looks into every suite."""
    found = _read_once(name, folder)
    if isinstance(found, str):
        raise RotnetError(found)
    return found


@cache
def _read_once(name: str, folder: Path) -> dict[str, Any] | str:
    """The content of a YAML, or what is wrong with it."""
    where = f"{name}.yaml" if name == _PRESETS else f"suites/{name}.yaml"
    try:
        return plain_values(where, read_yaml(folder / f"{name}.yaml", where))
    except RotnetError as error:
        return str(error)


def _parse(schema: type[Model], values: Any, where: str) -> Model:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place, kind = problem["loc"], problem["type"]
        message = problem["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            message += f". Allowed: {', '.join(_fields_at(schema, place[:-1]))}"
        elif kind not in ("value_error", "missing"):
            message += f", not {shown(problem['input'])}"
        raise RotnetError(f"{where}: {' '.join(filter(None, ['.'.join(map(str, place)), message]))}") from None
    except RotnetError as error:
        raise RotnetError(f"{where}: {error}") from None


def _fields_at(schema: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The fields of the model at a place of another model, through its dictionaries and lists."""
    found: Any = schema
    for part in place:
        found = found.model_fields[part].annotation if hasattr(found, "model_fields") else get_args(found)[-1]
    return list(found.model_fields)
