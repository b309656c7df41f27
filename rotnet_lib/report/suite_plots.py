"""The picture of a suite, by what its columns are."""

from rotnet_lib.report.chances import cell_chances, row_chances
from rotnet_lib.report.column_plots import bars, compare_columns, curves
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.row_plots import axes_of, compare_rows
from rotnet_lib.report.suite_report import SuiteReport


def picture(report: SuiteReport) -> ReportFigure | None:
    """The suite's figure: curves where its columns count something, bars by class or by task, else lines over the columns.

    None if nothing is measured.
    """
    if not any(row.measured for row in report.rows):
        return None
    if report.axis:
        return curves(report)
    if report.separate or any(row["by_target"] for row in report.suite["rows"]):
        return bars(report)
    if len(report.columns) > 1:
        return compare_columns(report)
    measure = report.suite["measure"]
    first = axes_of((cell for row in report.rows for cell in row.cells.values()), measure)[0]
    return compare_rows(report.rows, measure, chances=row_chances(cell_chances(report), first))
