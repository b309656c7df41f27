"""A suite's table to take away: as CSV, Markdown and LaTeX, with the citations as BibTeX."""

import base64
from dataclasses import dataclass

from rotnet_lib import __version__
from rotnet_lib.pretext import TASKS
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
        Copy("BibTeX", "\n\n".join([*(source(key).bibtex for key in _papers(report)), _SOFTWARE]), f"{name}.bib"),
    ]


def _papers(report: SuiteReport) -> list[str]:
    """The papers to be cited: of the published figures, if there are any, then of the tasks that runs of the suite train."""
    trained = [TASKS[task].paper for run in report.runs if (task := str(run.parameters.get("task"))) in TASKS]
    published = [report.suite["source"]] if report.suite["published"] or not any(trained) else []
    return list(dict.fromkeys(paper for paper in [*published, *trained] if paper))
