"""Executed notebooks as stand-alone HTML: result first, code folded, nothing from any other host."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor

from rotnet_lib.errors import RotnetError
from rotnet_lib.files import read_text, write_text
from rotnet_lib.report.contents import with_contents
from rotnet_lib.report.fragments import TEMPLATES, script, style
from rotnet_lib.runs.directory import SHOWN_RESULT

_SCRIPTED = ("application/vnd.jupyter.widget-view+json", "application/javascript")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class ResultFirst(Preprocessor):
    """Put the cells tagged `result` right behind the title, and an error before everything.

    papermill marks a failed notebook with a cell of its own, which links to the failing one; it stays on top. Of a widget
    its text is shown: the rest would need a script from another host.
    """

    def preprocess(self, nb: nbformat.NotebookNode, resources: Any) -> tuple[nbformat.NotebookNode, Any]:
        cells = [cell for cell in nb.cells if cell.source.strip()]
        first = [cell for cell in cells if "papermill-error-cell-tag" in _tags(cell)][:1]
        headings = [cell for cell in cells if cell.cell_type == "markdown" and cell.source.startswith("# ")][:1]
        results = [cell for cell in cells if "result" in _tags(cell)]
        own_title = any("<h1>" in html for html in _html_outputs(results))
        early = [*([] if own_title else headings), *first, *results]
        nb.cells = early + [cell for cell in cells if not any(cell is other for other in (*early, *headings))]
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "stream":
                    output.text = _last_frames(_ANSI.sub("", output.text))
                for kind in _SCRIPTED:
                    output.get("data", {}).pop(kind, None)
        nb.metadata.pop("widgets", None)
        return nb, resources


def render(notebook: Path, target: Path, *, shown: str | None = None) -> None:
    """Write an executed notebook as one HTML file, atomically.

    Args:
        notebook: its path.
        target: the page's.
        shown: of a run's notebook: which result it shows (`RunDirectory.result_mark`), which the page keeps for
            `RunDirectory.lacks_page`.

    Raises RotnetError if the notebook is missing, or none.
    """
    node = _read(notebook)
    exporter = HTMLExporter(
        template_name="rotnet", extra_template_basedirs=[str(TEMPLATES)], embed_images=True, exclude_anchor_links=True
    )
    exporter.register_preprocessor(ResultFirst(), enabled=True)
    body, _ = exporter.from_notebook_node(
        node,
        resources={
            "rotnet": {
                "title": _title(node),
                "style": style(),
                "script": script(),
                "shown": shown,
                "shown_name": SHOWN_RESULT,
            }
        },
    )
    write_text(target, with_contents(body))


def _read(path: Path) -> nbformat.NotebookNode:
    again = f"Delete {path.parent} and run again."
    try:
        node = nbformat.reads(read_text(path, again), as_version=4)
        nbformat.validate(node)
    except FileNotFoundError:
        raise RotnetError(f"{path} is missing. {again}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, nbformat.ValidationError) as error:
        what = str(error).partition("\n")[0]
        raise RotnetError(f"{path} is damaged: it is no notebook ({type(error).__name__}: {what}). {again}") from None
    return node


def _html_outputs(cells: list[nbformat.NotebookNode]) -> list[str]:
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _title(node: nbformat.NotebookNode) -> str:
    """The page's title: that of the first HTML heading in an output, else the notebook's."""
    for html in _html_outputs(node.cells):
        heading = re.search(r"<h1>(.*?)</h1>", html)
        if heading:
            return unescape(heading[1])
    return next((c.source.splitlines()[0].lstrip("# ") for c in node.cells if c.cell_type == "markdown"), "report")


def _last_frames(text: str) -> str:
    """Lines with only the last frame of each progress bar."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
