"""The error that ended a notebook."""

import re
from dataclasses import dataclass

import nbformat

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """The error that ended a notebook, without the colours of a terminal.

    Attributes:
        kind: the exception's class.
        text: what it says.
        traceback: where it came from.
    """

    kind: str
    text: str
    traceback: str


def take_failure(node: nbformat.NotebookNode) -> Failure | None:
    """The error in an executed notebook, which is taken out of it; None if it ran to its end."""
    for cell in node.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                cell.outputs = [other for other in cell.outputs if other is not output]
                plain = [_ANSI.sub("", text) for text in (output.evalue, "\n".join(output.traceback))]
                return Failure(output.ename, *plain)
    return None
