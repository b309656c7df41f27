"""The error that ended a notebook."""

import re
from dataclasses import dataclass

import nbformat

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.executed import read_executed
from rotnet_lib.runs.directory import NOTEBOOK, RunDirectory

FAILED_CELL = "papermill-error-cell"
"""The anchor that papermill puts before the cell that failed."""

_OWN = ("RotnetError", "StorageError")
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

    @property
    def cause(self) -> str:
        """The last line of what it says, after its class where that tells more: our own errors are written for the reader."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        said = lines[-1].strip() if lines else ""
        return said if self.kind in _OWN and said else f"{self.kind}: {said}".removesuffix(": ")


def cause_of_failure(run: RunDirectory) -> str:
    """Why a failed run ended, in a line: `the loss is nan at epoch 1 ...`; empty if its notebook does not say."""
    try:
        failure = take_failure(read_executed(run.path / NOTEBOOK, ""))
    except RotnetError:
        return ""  # a notebook that cannot be read is told of where its page is asked for
    return failure.cause if failure else ""


def take_failure(node: nbformat.NotebookNode) -> Failure | None:
    """The error in an executed notebook, which is taken out of it; None if it ran to its end."""
    for cell in node.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                cell.outputs = [other for other in cell.outputs if other is not output]
                plain = [_ANSI.sub("", text) for text in (output.evalue, "\n".join(output.traceback))]
                return Failure(output.ename, *plain)
    return None
