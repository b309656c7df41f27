"""Executed notebooks, read from their files."""

from pathlib import Path

import nbformat

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text


def read_executed(path: Path, again: str) -> nbformat.NotebookNode:
    """An executed notebook.

    Args:
        path: its file.
        again: what to do where it cannot be read, in a sentence, for the error.

    Raises RotnetError if it is missing, or none.
    """
    try:
        node = nbformat.reads(read_text(path, again), as_version=4)
        nbformat.validate(node)
    except FileNotFoundError:
        raise RotnetError(f"{path} is missing. {again}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, nbformat.ValidationError) as error:
        what = str(error).partition("\n")[0]
        raise RotnetError(f"{path} is damaged: it is no notebook ({type(error).__name__}: {what}). {again}") from None
    return node


def html_outputs(cells: list[nbformat.NotebookNode]) -> list[str]:
    """The HTML of each output of some cells, in order; empty for an output that has none."""
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))
