"""Sweeps: one line of a suite's YAML for several runs that differ in one value.

    sweeps: {labels: [20, 100, all]}
    runs:
      supervised-{labels}: {notebook: pretrain, set: {task: labels, labels_per_class: "{labels}"}}
    rows:
      - {label: "Supervised NIN", run: "supervised-{labels}", metric: top1}

stands for three runs and a row of three columns. A null is `all` in keys and columns.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rotnet_lib.errors import RotnetError


class SheetRow(BaseModel):
    """A row as it is written, in any of its short forms (see `expand`)."""

    model_config = ConfigDict(extra="allow")

    label: str
    run: str = ""
    metric: str = ""
    columns: dict[str, str] = Field(default_factory=dict, min_length=1)
    runs: dict[str, dict[str, str]] = Field(default_factory=dict, min_length=1)


class Sheet(BaseModel):
    """The shape of a suite's YAML before its sweeps are written out, as far as `expand` and `with_methods` look at it."""

    model_config = ConfigDict(extra="allow")

    published: str | None = None
    sweeps: dict[str, list[Any]] = Field(default_factory=dict)
    runs: dict[str, dict[str, Any]]
    rows: list[SheetRow] = Field(default_factory=list)
    claims: list[dict[str, Any]] = Field(default_factory=list)
    questions: list[dict[str, Any]] = Field(default_factory=list)


def expand(document: dict[str, Any], replaced: Mapping[str, list[Any]]) -> dict[str, Any]:
    """A suite's YAML with its sweeps and the short forms of its rows written out.

    Args:
        document: as read, of the shape of `Sheet`.
        replaced: sweep -> the values it takes in place of the document's.

    Raises RotnetError for a row that is of none of its forms, and for a sweep that takes a value twice.
    """
    document = dict(document)
    own = document.pop("sweeps", {})
    sweeps = {name: replaced.get(name, values) for name, values in own.items()}
    for name, values in sweeps.items():
        texts = list(map(_text, values))
        if repeated := [text for position, text in enumerate(texts) if text in texts[:position]]:
            raise RotnetError(f"sweeps.{name}: {repeated[0]} occurs twice.")
    runs: dict[str, Any] = {}
    for key, run in document["runs"].items():
        for name, value in _values(key, sweeps):
            runs[_named(key, name, value)] = _filled(run, name, value)
    changed = {name: [own[name], sweeps[name]] for name in own if own[name] != sweeps[name]}
    rows = [_row(row, sweeps) for row in document.get("rows", [])]
    return document | {"runs": runs, "rows": rows, "changed_sweeps": changed}


def _row(row: dict[str, Any], sweeps: Mapping[str, list[Any]]) -> dict[str, Any]:
    """`{label, run, metric}`, `{label, run, columns: {column: metric}}`, or one of a swept run, as a row of cells.

    A row whose columns are of several runs: `{label, runs: {run: {column: metric}}}`.
    """
    if [word in row for word in ("metric", "columns", "runs")].count(True) != 1 or ("run" in row) == ("runs" in row):
        raise RotnetError(
            f"a suite's row '{row.get('label')}' needs a run, and a metric or columns; or runs, each with columns."
        )
    rest = {name: value for name, value in row.items() if name not in ("run", "metric", "columns", "runs", "at")}
    cells = {}
    for run, columns in (row.get("runs") or {row["run"]: row.get("columns") or {"": row["metric"]}}).items():
        for column, metric in columns.items():
            for name, value in _values(f"{run} {row.get('at')}", sweeps):
                cell = {"run": run, "metric": metric} | ({"at": row["at"]} if "at" in row else {})
                own = _text(value) if name else metric.rpartition("_")[2]  # of conv2_top1: what it measures
                cells[column or own] = _filled(cell, name, value)
    return rest | {"cells": cells}


def _values(text: str, sweeps: Mapping[str, list[Any]]) -> list[tuple[str | None, Any]]:
    """(sweep, value) for each value of the sweep that a text names, or one pair of None."""
    for name, values in sweeps.items():
        if f"{{{name}}}" in text:
            return [(name, value) for value in values]
    return [(None, None)]


def _named(key: str, name: str | None, value: Any) -> str:
    """A key with the value in the sweep's place, as text."""
    return key if name is None else key.replace(f"{{{name}}}", _text(value))


def _filled(template: Any, name: str | None, value: Any) -> Any:
    """A template with the value in the sweep's place: as it is where it stands alone, else as text."""
    if name is None:
        return template
    if isinstance(template, dict):
        return {_named(key, name, value): _filled(entry, name, value) for key, entry in template.items()}
    if not isinstance(template, str):
        return template
    return value if template == f"{{{name}}}" else _named(template, name, value)


def _text(value: Any) -> str:
    return "all" if value is None else str(value)
