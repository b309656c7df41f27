"""The runs of a suite's plan as its report sees them, and what the plan says of the suite."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, Field, ValidationError, model_validator

from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.voc.source import VOC_SETS
from rotnet_lib.errors import RotnetError
from rotnet_lib.report.published import published_table
from rotnet_lib.runs.directory import METRICS, REPORT, RunDirectory
from rotnet_lib.runs.history import history_of
from rotnet_lib.runs.metrics import Better
from rotnet_lib.runs.plan_file import PlanFile, PlannedEntry, remake
from rotnet_lib.runs.schema import RunResult
from rotnet_lib.runs.unverified import noted, noting


@dataclass(frozen=True)
class ReportedRun:
    """A run of the plan as the report sees it."""

    key: str
    seed: int
    directory: RunDirectory
    parameters: dict[str, Any]
    upstream: tuple[str, ...]
    dataset: str
    """What the suite measures on."""
    departures: dict[str, list[Any]]

    @classmethod
    def of(cls, entry: PlannedEntry, root: Path) -> "ReportedRun":
        """The run of a plan's entry, in the folder `root` of run directories."""
        return cls(
            entry.key,
            entry.parameters["seed"],
            RunDirectory(root / entry.name),
            entry.parameters,
            tuple(entry.upstream),
            entry.dataset,
            entry.departures,
        )

    @property
    def state(self) -> str:
        """As `RunDirectory.state`. Of a finished run whose history is damaged: `damaged`."""
        return self._found[0]

    @property
    def damage(self) -> str | None:
        """Why the run is damaged, and the remedy; None if it is not."""
        return self._found[1]

    @property
    def result(self) -> RunResult | None:
        """Of a finished run."""
        return self._found[2]

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch, as `Trainer.fit` returns it; empty for a run that is not finished or trains nothing."""
        return self._found[3]

    @property
    def link(self) -> str | None:
        """Where its page is, relative to the suite's; None where it has none yet."""
        return f"../{self.directory.name}/{REPORT}" if (self.directory.path / REPORT).exists() else None

    @property
    def unverified(self) -> list[str]:
        """Files without a checksum that the run read, or that its figures are read from."""
        return self._found[4]

    @cached_property
    def _found(self) -> tuple[str, str | None, RunResult | None, pd.DataFrame, list[str]]:
        """Read once: a run that ends while the page is drawn would be finished here and missing there."""
        state = self.directory.state
        if state != "finished":
            return state, self.directory.damage, None, pd.DataFrame(), []
        with noting():
            try:
                result = self.directory.result()
                history = history_of(self.directory) if result.training else pd.DataFrame()
            except RotnetError as error:
                return "damaged", str(error), None, pd.DataFrame(), []
            read = noted()
        own = [f"{self.directory.name}/{METRICS}"] if result.schema_version == 2 else []
        return state, None, result, history, [*own, *read, *result.unverified]


class _Cell(BaseModel):
    run: str
    metric: str
    at: float | None = Field(gt=0, le=1)


class _Row(BaseModel):
    label: str
    cells: dict[str, _Cell] = Field(min_length=1)
    by_target: bool
    published: bool = True

    @model_validator(mode="after")
    def _one_cell(self) -> "_Row":
        if self.by_target and len(self.cells) > 1:
            raise ValueError("a row by target has one cell")
        return self


class _Question(BaseModel):
    ask: str
    baseline: str
    against: list[str]
    column: str | None
    yes_if: Better | None = None
    how_much: Better | None = None


class _Claim(BaseModel):
    row: str
    against: list[str] = Field(min_length=1)


class _Method(BaseModel):
    name: str
    title: str
    deviations: list[str]
    asked: bool


class _Suite(BaseModel):
    """What a report reads of a suite."""

    name: str
    title: str
    published: str | None
    source: str
    measure: str
    seeds: int = 1
    headings: dict[str, str]
    axis: Literal["epochs", "labels"] | None
    columns: list[str] = []
    rows: list[_Row]
    claims: list[_Claim] = []
    questions: list[_Question]
    methods: list[_Method] = []
    changed_sweeps: dict[str, tuple[list[Any], list[Any]]]


def suite_of(plan: PlanFile, path: Path) -> dict[str, Any]:
    """What a plan says of its suite, as plain values.

    Args:
        plan: the plan.
        path: its file, for the error.

    Raises RotnetError if the plan is of no suite, or of one that does not fit its runs.
    """
    try:
        suite = _Suite.model_validate(plan.suite or {})
        _check_runs(suite, plan)
    except ValidationError as error:
        problem = error.errors()[0]
        raise _unreadable(path, f"suite.{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    except (ValueError, RotnetError) as error:
        raise _unreadable(path, str(error)) from None
    return suite.model_dump(mode="json")


def _check_runs(suite: _Suite, plan: PlanFile) -> None:
    """Raises ValueError for the first thing in a plan that another part of it lacks."""
    if suite.published is not None:
        published_table(suite.published)
    measuring = {cell.run for row in suite.rows for cell in row.cells.values()}
    keys, names = {run.key for run in plan.runs}, {run.name for run in plan.runs}
    for run in plan.runs:
        if not isinstance(run.parameters.get("seed"), int) or not isinstance(run.parameters.get("dataset"), str):
            raise ValueError(f"run {run.name} lacks its seed or its dataset")
        if run.dataset not in DATASETS and run.dataset not in VOC_SETS:
            raise ValueError(f"run {run.name} is of an unknown dataset, {run.dataset}")
        if not names.issuperset(run.upstream):
            raise ValueError(f"run {run.name} builds on a run that is not in the plan")
        counted = {"epochs": "epochs", "labels": "labels_per_class"}.get(suite.axis or "")
        if counted and not run.upstream and counted == "epochs" and not isinstance(run.parameters.get(counted), int):
            raise ValueError(f"run {run.name} lacks its epochs")
        if counted == "labels_per_class" and counted not in run.parameters and run.key in measuring:
            raise ValueError(f"run {run.name} lacks its labels_per_class")
        if not all(len(pair) == 2 for pair in run.departures.values()):
            raise ValueError(f"a departure of run {run.name} is no pair of values")
    labels = {row.label: row for row in suite.rows}
    for row in suite.rows:
        if not keys.issuperset(cell.run for cell in row.cells.values()):
            raise ValueError(f"row '{row.label}' is measured by a run that is not in the plan")
    for claim in suite.claims:
        if not labels.keys() >= {claim.row, *claim.against}:
            raise ValueError(f"the claim about '{claim.row}' is about a row that is not there")
    for question in suite.questions:
        for label in (question.baseline, *question.against):
            if label not in labels or (question.column or next(iter(labels[label].cells))) not in labels[label].cells:
                raise ValueError(f"question '{question.ask}' is about a row or a column that is not there")


def _unreadable(path: Path, why: str) -> RotnetError:
    return RotnetError(f"cannot read the plan {path}: it is damaged ({why}). {remake(path)}")
