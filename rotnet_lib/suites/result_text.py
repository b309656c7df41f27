"""What a suite has come to, printed when it is made: its table, or of a collection a line a suite."""

from collections.abc import Iterator

from rotnet_lib.files import read_text, write_text
from rotnet_lib.report.table_text import TABLE_TEXT, summary, verdict_in
from rotnet_lib.runs.directory import PLAN
from rotnet_lib.suites.plan import CollectionPlan, Plan


def write_table(plan: Plan) -> None:
    """Write the suite's table as text beside its page: a suite that is drawn already is then printed without drawing anything.

    Raises RotnetError for a plan that is missing or damaged.
    """
    from rotnet_lib.report.report_config import ReportConfig
    from rotnet_lib.report.suite_report import SuiteReport  # takes seconds to import

    report = SuiteReport(ReportConfig(suite=plan.suite.name, plan=str(plan.directory / PLAN), runs=plan.options.runs))
    write_text(plan.directory / TABLE_TEXT, summary(report))


def result_lines(plan: Plan | CollectionPlan) -> Iterator[str]:
    """Lines that say what a suite shows: its title, what the figures say, and the table; of a collection a line a suite.

    A suite whose report could not be drawn has none: its error is told elsewhere.
    """
    for part in plan.parts:
        try:
            text = read_text(part.directory / TABLE_TEXT, "")
        except FileNotFoundError:
            continue
        if isinstance(plan, Plan):
            yield "\n" + text
        else:
            finished = sum(run.directory.finished for run in part.runs)
            yield f"{part.suite.name}: {finished} of {len(part.runs)} runs finished. {verdict_in(text)}"
