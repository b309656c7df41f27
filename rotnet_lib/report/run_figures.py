"""The figures on the page of a finished run, for the page of a suite that shows them too."""

import re

import nbformat
from IPython.display import HTML

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text
from rotnet_lib.runs.directory import NOTEBOOK, RunDirectory

_FIGURE = re.compile(r"<figure\b.*?</figure>", re.DOTALL)


def figures_shown(run: RunDirectory) -> list[str]:
    """The `<figure>` elements in the result cells of a finished run's executed notebook, in order; nothing is computed again.

    Raises RotnetError if there is none of them: the run has no notebook, or one from before figures had captions.
    """
    again = f"Delete {run.path / NOTEBOOK} and the page beside it, and ask for the run again: its figures are drawn anew."
    try:
        node = nbformat.reads(read_text(run.path / NOTEBOOK, again), as_version=4)
    except FileNotFoundError:
        raise RotnetError(f"{run.path / NOTEBOOK} is missing, so the run's figures cannot be shown. {again}") from None
    except (ValueError, LookupError, nbformat.ValidationError) as error:
        raise RotnetError(f"{run.path / NOTEBOOK} is damaged: {str(error).partition(chr(10))[0]}. {again}") from None
    shown = [cell for cell in node.cells if "result" in cell.metadata.get("tags", [])]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for cell in shown for output in cell.get("outputs", [])]
    found = [figure for page in pages for figure in _FIGURE.findall(page)]
    if not found:
        raise RotnetError(f"{run.path / NOTEBOOK} has no figures with captions: it is from before there were. {again}")
    return found


def run_figures(run: RunDirectory) -> HTML:
    """The same for a notebook cell: all figures, one below the other. Raises RotnetError as `figures_shown`."""
    return HTML("\n".join(figures_shown(run)))
