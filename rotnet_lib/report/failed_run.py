"""The start of a failed run's page: cause and remedy first, then how far it came, what was asked, and where."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from rotnet_lib.errors import RotnetError, StorageError
from rotnet_lib.report.failure import FAILED_CELL, Failure
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.report.parameter_words import plain
from rotnet_lib.report.run_title import described
from rotnet_lib.runs.directory import RESUME
from rotnet_lib.runs.provenance import commit, cpu_name, installed
from rotnet_lib.stages.register import STAGES
from rotnet_lib.training.headers import header_in, opened

_FOR_THE_USER = (RotnetError.__name__, StorageError.__name__)
"""Errors whose text names cause and remedy."""


def failure_summary(node: nbformat.NotebookNode, failure: Failure, directory: Path, made_by: MadeBy | None = None) -> str:
    """HTML that stands before everything on the page of a run that failed.

    Args:
        node: the notebook, as papermill left it.
        failure: its error.
        directory: the run's, with what it goes on from if it came so far.
        made_by: the command that makes the run; None: all parameters of the notebook were given.
    """
    papermill = node.metadata.get("papermill", {})
    asked = dict(papermill.get("parameters", {}))
    stage = Path(str(papermill.get("input_path", ""))).stem
    titled = described(stage, asked) if stage in STAGES and {"dataset", "arch"} <= asked.keys() else _heading(node)
    said, given = _said(stage, asked), {*made_by.given, "preset"} if made_by else asked.keys()
    rows, note = _rows(directory / RESUME) if {"epochs", "iterations"} & asked.keys() else (None, "")
    return fragment(
        "failed_run.html.j2",
        title=titled,
        error=failure.text,
        kind="" if failure.kind in _FOR_THE_USER else failure.kind,
        traceback=failure.traceback,
        anchored=any(FAILED_CELL in cell.source for cell in node.cells if cell.cell_type == "markdown"),
        curves=_curves(rows),
        rows=rows,
        note=note,
        command=made_by.command if made_by else "",
        given={name: value for name, value in said.items() if name in given},
        others={name: value for name, value in said.items() if name not in given},
        machine=_machine(),
    )


def _rows(resume: Path) -> tuple[list[dict[str, float]] | None, str]:
    """The history up to the failure, and a sentence about it; None where it cannot be read."""
    if not resume.exists():
        return [], ""
    try:
        with opened(resume, "np", "") as file:
            rows: list[dict[str, float]] = header_in(resume, file.metadata(), "")["history"]
    except (RotnetError, LookupError) as error:
        return None, f"How far it came cannot be shown: {error}"
    return rows, "Asked for again, the run goes on from there."


def _curves(rows: list[dict[str, float]] | None) -> str:
    """The figure of the training so far; empty where nothing was recorded."""
    if not rows or "train_loss" not in rows[0] or not {"epoch", "iteration"} & rows[0].keys():
        return ""
    from rotnet_lib.report.progress_plots import progress_curve

    return progress_curve(rows).html


def _said(stage: str, asked: Mapping[str, Any]) -> dict[str, str]:
    """The parameters in the order of the stage's config, as a reader expects them."""
    if stage not in STAGES:
        return {name: plain(value, name) for name, value in asked.items()}
    config, found = STAGES[stage].config, {}
    for name in ("preset", *config.model_fields):
        if name not in asked:
            continue
        value = asked[name]
        if isinstance(value, dict):
            found[name] = "; ".join(f"{key} {plain(item)}" for key, item in value.items())
        else:
            found[name] = plain(value, name, stage)
    return found


def _heading(node: nbformat.NotebookNode) -> str:
    """The notebook's own title."""
    lines = (cell.source.splitlines()[0] for cell in node.cells if cell.cell_type == "markdown" and cell.source)
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "Notebook")


def _machine() -> Mapping[str, Any]:
    """The machine that draws the page, which is the one that ran the notebook. torch is not imported for it."""
    versions = {name: installed(name) for name in ("torch", "torchvision", "numpy")}
    return {
        "machine": f"{cpu_name()}, {os.cpu_count()} cores, {platform.platform()}",
        "versions": f"rotnet-lib at {commit() or 'no commit'}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    }
