"""Suites: a YAML a published table or figure, and collections of them, typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.report.published import published_table, source
from rotnet_lib.runs.metrics import Better
from rotnet_lib.runs.protocols import KIND
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.suites.documents import SUITES, parse, read_document, suite_documents
from rotnet_lib.suites.method_rows import has_method_rows, with_methods
from rotnet_lib.suites.methods import asked_for, load_methods, words_of
from rotnet_lib.suites.sweeps import Sheet, expand

_NAMES = ("arch", "dataset", *KIND)
"""Parameters that plans look up before a config is built: they are text."""


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
    at: float | None = Field(None, gt=0, le=1, description="after this fraction of the run's epochs; None: at their end")


class SuiteRow(BaseModel):
    """A row of the table: its label, published or our own, and what measures it, by column."""

    model_config = ConfigDict(extra="forbid")

    label: str
    cells: dict[str, SuiteCell] = Field(min_length=1)
    by_target: bool = Field(False, description="one cell, shown as a column for each right answer (class)")
    published: bool = Field(True, description="whether the suite's published table has this row")

    @model_validator(mode="after")
    def _one_cell_by_target(self) -> "SuiteRow":
        if self.by_target and len(self.cells) > 1:
            raise ValueError(f"row '{self.label}' is by target, so it has one cell, not {', '.join(self.cells)}")
        return self


class Question(BaseModel):
    """A question that rows of the suite answer, each compared with a baseline row.

    With neither `yes_if` nor `how_much` the answer says whether they differ.
    """

    model_config = ConfigDict(extra="forbid")

    ask: str
    baseline: str
    against: list[str]
    column: str | None = Field(None, description="the column compared; None: the only one that the rows have")
    yes_if: Better | None = Field(
        None, description="where the rows must stand to the baseline for the answer to be yes; None: it is no such question"
    )
    how_much: Better | None = Field(
        None, description="the side of the baseline on which the answer is how far away the rows stand; None: it asks no amount"
    )


class Claim(BaseModel):
    """What a table is about: a row, and the rows that it is to be held against. A page says it first, in points."""

    model_config = ConfigDict(extra="forbid")

    row: str
    against: list[str] = Field(min_length=1)


class SuiteMethod(BaseModel):
    """A method that can have rows in a suite (`methods.yaml`)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    needs: str
    deviations: list[str]
    asked: bool = Field(description="whether it has rows: METHODS names it")


class Suite(BaseModel):
    """A published table or figure, and the runs that reproduce it (`suites/<name>.yaml`)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str
    published: str | None = Field(None, description="table of published.yaml")
    columns: list[str] = Field(default_factory=list, description="those of the published table that are shown; none named: all")
    source: str = "rotnet"
    measure: str = Field("top1", description="what the figures are, in percent")
    headings: dict[str, str] = Field(default_factory=dict, description="column -> how the table heads it, where otherwise")
    seeds: int = Field(1, ge=1, description="runs of every row where the suite is asked for alone and SEEDS is not said")
    axis: Literal["epochs", "labels"] | None = Field(None, description="what the columns count, drawn as a curve")
    runs: dict[str, SuiteRun]
    rows: list[SuiteRow] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    questions: list[Question] = Field(default_factory=list)
    methods: list[SuiteMethod] = Field(default_factory=list, description="those of which the suite has rows, or could have")
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
        labels = [row.label for row in self.rows]
        for label in dict.fromkeys(labels):
            if labels.count(label) > 1:
                raise ValueError(
                    f"{labels.count(label)} rows are called '{label}', so a page could show one alone: rename all but one"
                )
        for row in self.rows:
            for cell in row.cells.values():
                if cell.run not in self.runs:
                    raise ValueError(str(unknown(f"run of row '{row.label}'", cell.run, self.runs)))
            if self.published and row.published and row.label not in published_table(self.published):
                raise ValueError(str(unknown(f"row of {self.published}", row.label, published_table(self.published))))
            if self.published and not row.published and row.label in published_table(self.published):
                raise ValueError(f"row '{row.label}' is in {self.published}. Leave `published: false` out")
        _check_axis(self.axis, self.runs, {cell.run for row in self.rows for cell in row.cells.values()})
        rows = {row.label: row for row in self.rows}
        columns = [column for row in self.rows for column in row.cells]
        for what, named in (("column with a heading,", self.headings), ("column that is shown,", self.columns)):
            for column in named:
                if column not in columns:
                    raise ValueError(str(unknown(what, column, columns)))
        for claim in self.claims:
            for label in (claim.row, *claim.against):
                if label not in rows:
                    raise ValueError(str(unknown("row of a claim,", label, rows)))
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


def _check_axis(axis: str | None, runs: Mapping[str, SuiteRun], measuring: set[str]) -> None:
    """Raises ValueError for a run without what the axis counts: epochs of the first runs, labels of those measured."""
    for key, run in runs.items():
        fields = STAGES[run.notebook].config.model_fields
        if axis == "epochs" and not run.upstream and "epochs" not in fields:
            raise ValueError(f"axis: epochs are counted, but run '{key}' ({run.notebook}) has none")
        if axis == "labels" and key in measuring and "labels_per_class" not in fields:
            raise ValueError(f"axis: labels per class are counted, but run '{key}' ({run.notebook}) has none")


def _check_question(question: Question, rows: Mapping[str, SuiteRow]) -> None:
    if question.yes_if and question.how_much:
        raise ValueError(f"question '{question.ask}' has both yes_if and how_much: drop one of the two")
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


def suite_names(folder: Path = SUITES) -> list[str]:
    """The suites there are in a folder, collections of suites not among them. A file that cannot be read counts as a suite."""
    return [name for name, document in suite_documents(folder) if "suites" not in document]


def collection_names(folder: Path = SUITES) -> list[str]:
    """The collections of suites there are in a folder."""
    return [name for name, document in suite_documents(folder) if "suites" in document]


def suites_with_methods(folder: Path = SUITES) -> list[str]:
    """The suites in a folder that have rows for each method."""
    return [name for name, document in suite_documents(folder) if has_method_rows(document)]


def check_suite(name: str, folder: Path = SUITES) -> None:
    """Raises RotnetError, with the suites and collections there are, if a folder has no suite of that name."""
    if name not in suite_names(folder):
        raise unknown("suite", name, [*suite_names(folder), *collection_names(folder)])


def load_suite(
    name: str, sweeps: Mapping[str, list[Any]] | None = None, methods: str | None = None, folder: Path = SUITES
) -> Suite:
    """The suite of that name.

    Args:
        name: of its file.
        sweeps: sweep -> the values it takes in place of the suite's own.
        methods: which have rows, where the suite has rows for methods; see `asked_for`.
        folder: where the suites' files are.

    Raises RotnetError if it is unknown or its YAML is malformed or not consistent.
    """
    check_suite(name, folder)
    where = f"suites/{name}.yaml"
    document = read_document(name, folder)
    for key in ("name", "changed_sweeps", "methods"):
        if key in document:
            raise RotnetError(f"{where}: remove the key '{key}': the file's name, the preset or methods.yaml decides it.")
    parse(Sheet, document, where)
    try:
        if has_method_rows(document):
            document = with_methods(document, load_methods(), asked_for(methods), words_of(methods))
        expanded = expand(document, sweeps or {})
    except RotnetError as error:
        raise RotnetError(f"{where}: {error}") from None
    return parse(Suite, {"name": name} | expanded, where)


def load_collection(name: str, folder: Path = SUITES) -> Collection:
    """The collection of that name. Raises RotnetError if its YAML is malformed."""
    return parse(Collection, read_document(name, folder) | {"name": name}, f"suites/{name}.yaml")
