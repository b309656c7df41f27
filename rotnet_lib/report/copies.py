"""A suite's table to take away: as CSV, Markdown and LaTeX, with the citations as BibTeX."""

import base64
from dataclasses import dataclass

from rotnet_lib import __version__
from rotnet_lib.report.published import source
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.report.table_text import latex, markdown

_YEAR = 2026
_SOFTWARE = f"""@software{{rotnet_lib,
  author = {{{{The rotnet-lib developers}}}},
  title = {{{{rotnet-lib: a benchmark harness for self-supervised image representations, built on RotNet}}}},
  version = {{{__version__}}},
  year = {{{_YEAR}}}
}}"""
"""As in CITATION.cff, which is no part of an installed package."""


@dataclass(frozen=True)
class Copy:
    """The table in one form.

    Attributes:
        title: of the form.
        text: the table in it.
        file: its name when it is kept.
        kind: its media type.
    """

    title: str
    text: str
    file: str
    kind: str = "text/plain"

    @property
    def data(self) -> str:
        """The text as an address that holds it, so that nothing is loaded from elsewhere."""
        return f"data:{self.kind};charset=utf-8;base64,{base64.b64encode(self.text.encode()).decode()}"


def copies(report: SuiteReport) -> list[Copy]:
    """The forms of a suite's table, and who is to be cited with it."""
    name = report.suite["name"]
    return [
        Copy("CSV", report.table.to_csv(index=False), f"{name}.csv", "text/csv"),
        Copy("Markdown", markdown(report), f"{name}.md"),
        Copy("LaTeX (booktabs)", latex(report), f"{name}.tex"),
        Copy("BibTeX", "\n\n".join([source(report.suite["source"]).bibtex, _SOFTWARE]), f"{name}.bib"),
    ]
