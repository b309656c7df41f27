"""Executed notebooks as stand-alone HTML: result first, code folded, nothing from any other host."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor

from rotnet_lib.files import write_text
from rotnet_lib.report.contents import with_contents
from rotnet_lib.report.executed import html_outputs, read_executed, tags
from rotnet_lib.report.failure import FAILED_CELL, take_failure
from rotnet_lib.report.fragments import TEMPLATES, fragment, script, style
from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.report.run_links import run_links
from rotnet_lib.runs.directory import SHOWN_RESULT, RunDirectory

NOTEBOOK_ONLY = "notebook-only"
"""The tag of cells that are no part of the page."""

_SCRIPTED = ("application/vnd.jupyter.widget-view+json", "application/javascript")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BAR = re.compile(r"\d+%\|| inputs \[\d\d:")
"""A progress bar of tqdm: with a total, and without."""


class ResultFirst(Preprocessor):
    """The cells tagged `result` first, then where to go from here, then the rest in its order.

    A cell tagged `notebook-only` is for who works in the notebook, such as a heading of the cells that have moved, or what the
    result shows again; the page of a failed notebook, which has no result, keeps it. There a summary of the error comes first,
    and where papermill marks the failing cell stands a mark of our own.
    Of a widget its text is shown: the rest would need a script from another host.
    What a notebook that ran to its end has printed is folded at the end, without progress bars.

    `resources["rotnet"]` has `failure` and `links`: HTML, empty where there is none.
    """

    def preprocess(self, nb: nbformat.NotebookNode, resources: Any) -> tuple[nbformat.NotebookNode, Any]:
        failure, links = (resources.get("rotnet", {}).get(name, "") for name in ("failure", "links"))
        cells = [cell for cell in nb.cells if cell.source.strip() and (failure or NOTEBOOK_ONLY not in tags(cell))]
        for cell in cells:
            for kind in _SCRIPTED:
                for output in cell.get("outputs", []):
                    output.get("data", {}).pop(kind, None)
        results = [cell for cell in cells if "result" in tags(cell)]
        headings = [cell for cell in cells if cell.cell_type == "markdown" and cell.source.startswith("# ")][:1]
        if failure:
            results = [_html_cell(failure)]
            cells = [cell for cell in cells if not _is_papermills_notice(cell)]
            for cell in cells:
                if cell.cell_type == "markdown" and FAILED_CELL in cell.source:  # papermill's words, in large red letters
                    cell.source = f'<p id="{FAILED_CELL}" class="bad">The notebook stopped here.</p>'
        own_title = any("<h1>" in html for html in html_outputs(results))
        early = [*([] if own_title else headings), *results, *([_html_cell(links)] if links else [])]
        rest = [cell for cell in cells if not any(cell is other for other in early)]
        if own_title and headings:
            headings[0].source = _without_title(headings[0].source)
        printed = "" if failure else _taken_text(cells)
        for cell in rest:
            for output in cell.get("outputs", []):
                if output.output_type == "stream":
                    output.text = _last_frames(_ANSI.sub("", output.text))
        said = [_html_cell(fragment("printed.html.j2", text=printed))] if printed else []
        nb.cells = [cell for cell in [*early, *rest, *said] if cell.source.strip()]
        nb.metadata.pop("widgets", None)
        return nb, resources


def render(notebook: Path, target: Path, *, shown: str | None = None, made_by: MadeBy | None = None) -> None:
    """Write an executed notebook as one HTML file, atomically.

    Args:
        notebook: its path.
        target: the page's.
        shown: of a run's notebook: which result it shows (`RunDirectory.result_mark`), which the page keeps for
            `RunDirectory.lacks_page`.
        made_by: of a run's notebook: the command that makes the run; None: it is not known.

    Raises RotnetError if the notebook is missing, or none.
    """
    node = read_executed(notebook, f"Delete {notebook.parent} and run again.")
    run, failure, links = RunDirectory(notebook.parent), "", ""
    if error := take_failure(node):
        from rotnet_lib.report.failed_run import failure_summary  # draws: a run that worked should not wait for matplotlib

        failure = failure_summary(node, error, run.path, made_by)
    elif run.finished:
        links = run_links(run, made_by)
    exporter = HTMLExporter(
        template_name="rotnet", extra_template_basedirs=[str(TEMPLATES)], embed_images=True, exclude_anchor_links=True
    )
    exporter.register_preprocessor(ResultFirst(), enabled=True)
    body, _ = exporter.from_notebook_node(
        node,
        resources={
            "rotnet": {
                "title": _title(node, failure),
                "style": style(),
                "script": script(),
                "shown": shown,
                "shown_name": SHOWN_RESULT,
                "failure": failure,
                "links": links,
            }
        },
    )
    write_text(target, with_contents(body))


def _html_cell(html: str) -> nbformat.NotebookNode:
    """A cell of which the page shows the output alone."""
    output = nbformat.v4.new_output("display_data", {"text/html": html})
    return nbformat.v4.new_code_cell("_", outputs=[output], metadata={"tags": ["result"]})


def _is_papermills_notice(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell is the one that papermill puts on top of a failed notebook; the mark at the failing cell is none."""
    return "papermill-error-cell-tag" in tags(cell) and "An Exception was encountered" in cell.source


def _without_title(source: str) -> str:
    """A notebook's text without its title, under a heading of its own: on the page it stands below the result."""
    text = source.partition("\n")[2].strip()
    return f"## About this notebook\n\n{text}" if text else ""


def _taken_text(cells: list[nbformat.NotebookNode]) -> str:
    """What the cells have printed, which is taken out of them, without progress bars and colours."""
    printed = []
    for cell in cells:
        streams = [output for output in cell.get("outputs", []) if output.output_type == "stream"]
        printed += [_without_bars(_ANSI.sub("", output.text)) for output in streams]
        if streams:
            cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
    return "\n".join(text for text in printed if text).strip()


def _title(node: nbformat.NotebookNode, failure: str) -> str:
    """The page's title: that of the first HTML heading in an output, else the notebook's."""
    for html in [failure, *html_outputs(node.cells)]:
        heading = re.search(r"<h1>(.*?)</h1>", html)
        if heading:
            return unescape(heading[1])
    return next((c.source.splitlines()[0].lstrip("# ") for c in node.cells if c.cell_type == "markdown"), "report")


def _last_frames(text: str) -> str:
    """Lines with only the last frame of each progress bar."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _without_bars(text: str) -> str:
    """Lines without those of progress bars, which are written over and over."""
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return "\n".join(line for line in lines if "\r" not in line and not _BAR.search(line)).strip()
