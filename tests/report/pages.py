"""Reading a suite's page."""

from copy import copy

from bs4 import BeautifulSoup, Tag

from rotnet_lib.report.suite_page import details, summary
from rotnet_lib.report.suite_report import SuiteReport


def page(report: SuiteReport) -> BeautifulSoup:
    """What the notebook shows: the summary, then the details."""
    return BeautifulSoup(summary(report).data + details(report).data, "html.parser")


def text(report: SuiteReport) -> str:
    return " ".join(page(report).get_text().split())


def cells(report: SuiteReport, table: int = 0) -> dict[str, dict[str, str]]:
    """First column -> heading -> text, of a table of the page."""
    element = page(report).select("table")[table]
    headings = [cell.get_text() for cell in element.select("thead th")]
    lines = [[_said(cell) for cell in line.select("th, td")] for line in element.select("tbody tr:not(.published)")]
    return {line[0]: dict(zip(headings, line, strict=True)) for line in lines}


def below(report: SuiteReport, row: str, what: str = "published") -> dict[str, str]:
    """Heading -> text, of a line below a row's measured figures, in a table of several columns."""
    [element] = page(report).select("table.figures")
    headings = [cell.get_text() for cell in element.select("thead th")]
    for lines in element.select("tbody"):
        [label, *others] = lines.select("tr")
        if _said(label.select("th")[0]) == row:
            [line] = [line for line in others if _said(line.select("th")[0]) == what]
            return dict(zip(headings[1:], map(_said, line.select("td")), strict=True))
    raise AssertionError(f"no row {row}")


def _said(cell: Tag) -> str:
    """What is read in a cell: not what stands there for its width."""
    cell = copy(cell)
    for padding in cell.select(".pad"):
        padding.decompose()
    return " ".join(cell.get_text(" ").split())
