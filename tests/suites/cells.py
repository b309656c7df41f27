"""A notebook's cells run in this process, where a kernel would take seconds: what is shown goes into the page all the same."""

import ast
import base64
import io
from pathlib import Path
from typing import Any

import nbformat
from matplotlib import pyplot as plt

from rotnet_lib.paths import NOTEBOOKS
from rotnet_lib.report.html import render
from rotnet_lib.runs.directory import NOTEBOOK, REPORT


def run_cells(notebook: str, parameters: dict[str, Any], directory: Path) -> None:
    """Run a notebook into `directory`: `notebook.ipynb` and `report.html`, as `suites.run_notebook.execute` does.

    Of a cell the value of its last expression is kept, if that has an HTML form, and the figures that it leaves open.
    """
    document = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in document.cells:
        if cell.cell_type != "code":
            continue
        value = _value(cell.source, namespace)
        if "parameters" in cell.metadata.get("tags", []):
            namespace |= parameters
        if hasattr(value, "_repr_html_"):
            cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": value._repr_html_()}))
        cell.outputs += [nbformat.v4.new_output("display_data", {"image/png": _png(number)}) for number in plt.get_fignums()]
        plt.close("all")
    directory.mkdir(parents=True, exist_ok=True)
    nbformat.write(document, directory / NOTEBOOK)
    render(directory / NOTEBOOK, directory / REPORT)


def _value(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; its last expression's value, None where it ends in something else."""
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(source, namespace)
        return None
    exec(compile(ast.Module(tree.body[:-1], []), "<cell>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)


def _png(number: int) -> str:
    picture = io.BytesIO()
    plt.figure(number).savefig(picture, format="png")
    return base64.b64encode(picture.getvalue()).decode()
