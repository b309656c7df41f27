"""Reading a suite's page."""

from bs4 import BeautifulSoup

from rotnet_lib.report.suite_report import SuiteReport


def page(report: SuiteReport) -> BeautifulSoup:
    """What the notebook shows: the summary, then the details."""
    return BeautifulSoup(report.summary.data + report.details.data, "html.parser")


def text(report: SuiteReport) -> str:
    return " ".join(page(report).get_text().split())


def cells(report: SuiteReport, table: int = 0) -> dict[str, dict[str, str]]:
    """First column -> heading -> text, of a table of the page."""
    element = page(report).select("table")[table]
    headings = [cell.get_text() for cell in element.select("thead th")]
    lines = [[" ".join(cell.get_text(" ").split()) for cell in line.select("td")] for line in element.select("tbody tr")]
    return {line[0]: dict(zip(headings, line, strict=True)) for line in lines}
