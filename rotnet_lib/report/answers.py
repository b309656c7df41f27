"""The questions of a suite, each answered with a figure and a sentence drawn from it."""

from typing import Any

from IPython.display import HTML

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.comparison import called, compare
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.suite_plots import compare_rows
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import change


def answers(report: SuiteReport) -> HTML | None:
    """Question, answer and figure, one after the other, for a notebook cell; None for a suite that asks nothing."""
    if not report.suite["questions"]:
        return None
    return HTML(fragment("answers.html.j2", questions=[_answered(entry, report.rows) for entry in report.suite["questions"]]))


def answer(baseline: Row, others: list[Row]) -> str:
    """What the measured figures of some rows of one column say against a baseline's: differences, and the errors of both."""
    start = _only(baseline)
    measured = [(row.label, _only(row)) for row in others if row.measured]
    if start.mean is None or not measured:
        return "Not measured yet."
    parts = []
    for label, cell in measured:
        if cell.kind != start.kind:
            parts.append(f"{label} {cell.in_full} (another unit, not compared)")
            continue
        difference = (cell.mean or 0) - start.mean
        size = found.words if (found := compare(cell, start)) else "spread unknown"
        parts.append(f"{label} {cell.with_unit} ({change(difference, cell.mean or 0, cell.unit)}, {size})")
    missing = [row.label for row in others if not row.measured]
    end = f" Not measured: {', '.join(missing)}." if missing else ""
    alike = [cell for _, cell in measured if cell.kind == start.kind]
    shown = start.with_unit if len(alike) == len(measured) else start.in_full
    return f"{_opening(start, alike)} {baseline.label} {shown}; {'; '.join(parts)}.{end}"


def _opening(baseline: Cell, others: list[Cell]) -> str:
    if not others:
        return "Nothing has figures in the baseline's unit:"
    found = [(cell, compare(cell, baseline)) for cell in others]
    known = [comparison for _, comparison in found if comparison]
    if len(known) < len(found):
        return "With one seed no spread is known, so a small difference says nothing:"
    clear = [cell for cell, comparison in found if comparison and comparison.clear]
    error = called(known)
    if not clear:
        return f"No difference beyond the {error}:"
    higher = sum((cell.mean or 0) > (baseline.mean or 0) for cell in clear)
    lower = len(clear) - higher
    end = "; other seeds may differ:" if any(comparison.known == "images" for comparison in known) else ":"
    if baseline.better == "lower":
        return f"Beyond the {error} {lower} of {len(others)} stand lower, which is better, and {higher} higher{end}"
    return f"Beyond the {error} {higher} of {len(others)} stand higher and {lower} lower{end}"


def _only(row: Row) -> Cell:
    [cell] = row.cells.values()
    return cell


def _of_column(row: Row, column: str | None) -> Row:
    return row if column is None else Row(row.label, {column: row.cells[column]})


def _answered(question: dict[str, Any], rows: list[Row]) -> dict[str, str]:
    by_label = {row.label: row for row in rows}
    baseline, *others = (
        _of_column(by_label[label], question["column"]) for label in (question["baseline"], *question["against"])
    )
    asked = [baseline, *others]
    figure = compare_rows(asked, caption=question["ask"]).html if any(row.measured for row in asked) else ""
    return {"ask": question["ask"], "answer": answer(baseline, others), "figure": figure}
