"""The page of a collection of suites: what matches the published figures, what does not, what was not run."""

from collections import Counter
from pathlib import Path
from typing import Any

from rotnet_lib.files import write_text
from rotnet_lib.report.aligned import aligned
from rotnet_lib.report.cells import Cell
from rotnet_lib.report.data_words import DataWords
from rotnet_lib.report.fragments import page
from rotnet_lib.report.headings import kind_of
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import heading
from rotnet_lib.runs.directory import PLAN, REPORT, now

_ANOTHER = "another experiment"
_NOT_COMPARED = {"not run", "not published", _ANOTHER}
"""Standings of figures that are held against no published one."""


def write_overview(directory: Path, title: str, suites: list[Path]) -> Path:
    """Write a collection's page from the plans of its suites; returns its path.

    Args:
        directory: where it goes, beside the suites' directories.
        title: the collection's, with the published names of data.
        suites: the suites' directories.
    """
    reports = [_report(path) for path in suites]
    titles = dict.fromkeys(result.data.title for report in reports for result in report.results)
    standings = Counter(_standing(report, cell) for report in reports for _, _, cell in _cells(report))
    said = DataWords(run for report in reports for run in report.runs).text(title)
    text = page(
        "overview.html.j2",
        title=said[:1].upper() + said[1:],
        time=now(),
        plan=reports[0].plan,
        data_titles="; ".join(titles) or "none yet",
        comparable=all(report.comparable for report in reports if report.results),
        standings=sorted(standings.items()),
        total=standings.total(),
        compared=bool(standings.keys() - _NOT_COMPARED),
        suites=[_lines(report, path) for report, path in zip(reports, suites, strict=True)],
    )
    write_text(directory / REPORT, text)
    return directory / REPORT


def _report(directory: Path) -> SuiteReport:
    return SuiteReport(ReportConfig(plan=str(directory / PLAN), runs=str(directory.parent)))


def _cells(report: SuiteReport) -> list[tuple[str, str, Cell]]:
    """Row, column and cell of every figure that a run of the suite should measure."""
    return [(row.label, report.columns[c], cell) for row in report.rows for c, cell in row.cells.items() if cell.planned]


def _standing(report: SuiteReport, cell: Cell) -> str:
    """`Cell.standing`, but that figures of another experiment stand nowhere to the published ones."""
    return _ANOTHER if cell.standing not in _NOT_COMPARED and not report.comparable else cell.standing


def _lines(report: SuiteReport, directory: Path) -> dict[str, Any]:
    states = [run.state for run in report.runs]
    cells = _cells(report)
    kind = kind_of(cell for _, _, cell in cells)
    published = aligned([cell.published_text for _, _, cell in cells])
    return {
        "title": report.suite["title"],
        "link": f"../{directory.name}/{REPORT}",
        "verdict": report.verdict,
        "finished": states.count("finished"),
        "runs": len(states),
        "many": len(report.columns) > 1,
        "figure": heading("figure", *kind) if kind else "figure",
        "mixed": kind is None,
        "published": any(published),
        "axis": report.axis.title if report.axis else "",
        "errors": any(cell.error is not None for _, _, cell in cells),
        "cells": [
            (label, column, cell, text, _standing(report, cell))
            for (label, column, cell), text in zip(cells, published, strict=True)
        ],
    }
