"""The figures on the page of a finished run, for the page of a suite that shows them too."""

import re

from IPython.display import HTML

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.executed import html_outputs, read_executed, tags
from rotnet_lib.runs.directory import NOTEBOOK, RunDirectory

_FIGURE = re.compile(r"<figure\b.*?</figure>", re.DOTALL)


def figures_shown(run: RunDirectory) -> list[str]:
    """The `<figure>` elements in the result cells of a finished run's executed notebook, in order; nothing is computed again.

    Raises RotnetError if there is none of them: the run has no notebook, or one from before figures had captions.
    """
    again = f"Delete {run.path / NOTEBOOK} and the page beside it, and ask for the run again: its figures are drawn anew."
    node = read_executed(run.path / NOTEBOOK, again)
    pages = html_outputs([cell for cell in node.cells if "result" in tags(cell)])
    found = [figure for page in pages for figure in _FIGURE.findall(page)]
    if not found:
        raise RotnetError(f"{run.path / NOTEBOOK} has no figures with captions: it is from before there were. {again}")
    return found


def run_figures(run: RunDirectory) -> HTML:
    """The same for a notebook cell: all figures, one below the other. Raises RotnetError as `figures_shown`."""
    return HTML("\n".join(figures_shown(run)))
