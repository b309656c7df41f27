"""The questions of a suite, each answered with a sentence drawn from the figures and with a picture of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from IPython.display import HTML

from rotnet_lib.report.answer_words import answer, reservation
from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.chances import cell_chances, chance_lines, row_chances
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.fragments import fragment
from rotnet_lib.report.plot_parts import Limits, bar_length
from rotnet_lib.report.row_plots import axes_of, compare_rows
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.units import axis_label


@dataclass(frozen=True)
class Answered:
    """A question with its answer, and a picture of the figures, where there are any."""

    ask: str
    answer: str
    figure: ReportFigure | None


def answers(report: SuiteReport) -> HTML | None:
    """Question, answer and figure, one after the other, for a notebook cell; None for a suite that asks nothing."""
    found = answered(report)
    if not found:
        return None
    rows = [_asked(question, report.rows) for question in report.suite["questions"]]
    return HTML(fragment("answers.html.j2", reservation=reservation(rows), questions=found))


def answered(report: SuiteReport) -> list[Answered]:
    """The suite's questions with their answers. All figures have one axis, so that a difference is as long in each."""
    questions = report.suite["questions"]
    asked = [_asked(question, report.rows) for question in questions]
    limits = _limits([_only(row) for rows in asked for row in rows], report)
    return [_answered(report, question, rows, limits) for question, rows in zip(questions, asked, strict=True)]


def _asked(question: dict[str, Any], rows: Sequence[Row]) -> list[Row]:
    """The rows of a question, the baseline first, each with the one column that is asked about."""
    by_label = {row.label: row for row in rows}
    column = question["column"]
    found = [by_label[label] for label in (question["baseline"], *question["against"])]
    return [row if column is None else Row(row.label, {column: row.cells[column]}) for row in found]


def _answered(report: SuiteReport, question: dict[str, Any], rows: list[Row], limits: dict[str, Limits]) -> Answered:
    baseline, *others = rows
    text = answer(baseline, others, question["yes_if"], question["how_much"])
    if not any(row.measured for row in rows):
        return Answered(question["ask"], text, None)
    measure = report.suite["measure"]
    labels = {row.label for row in rows}
    cells = [_only(row) for row in rows]
    first = axes_of(cells, measure)[0]
    chances = {label: by_axis for label, by_axis in cell_chances(report).items() if label in labels}
    guessing = chance_lines(chances, first)
    if all(_is_guessing(cell, list(guessing.values())) for cell in cells if cell.mean is not None):
        text += f" All of these figures lie within two standard errors of {', '.join(guessing)}."
    caption = f"“{baseline.label}” and what it is compared with. The figures of all questions have the same axis."
    figure = compare_rows(rows, measure, caption=caption, limits=limits, chances=row_chances(chances, first))
    return Answered(question["ask"], text, figure)


def _is_guessing(cell: Cell, chances: Sequence[float]) -> bool:
    """Whether a measured figure cannot be told from that of guessing; False where one of both or the error is not known."""
    return any(cell.error is not None and abs((cell.mean or 0) - chance) <= 2 * cell.error for chance in chances)


def _limits(cells: Sequence[Cell], report: SuiteReport) -> dict[str, Limits]:
    """What an axis says -> the range of all its figures, their errors and what guessing gives, with some room."""
    ends: dict[str, list[float]] = {}
    for cell in cells:
        axis = ends.setdefault(axis_label(report.suite["measure"], *cell.kind), [])
        bar = bar_length(cell) or 0.0
        axis += [*cell.values, *([cell.mean - bar, cell.mean + bar] if cell.mean is not None else [])]
        axis += [cell.published] if cell.published is not None else []
    found = {}
    chances = cell_chances(report)
    for said, values in ends.items():
        values += chance_lines(chances, said).values()
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = 0.05 * ((high - low) or abs(high) or 1.0)
        found[said] = (low - room, high + room)
    return found


def _only(row: Row) -> Cell:
    [cell] = row.cells.values()
    return cell
