"""The figures of a finished run, for another page."""

from collections.abc import Callable

import nbformat
import pytest
from matplotlib import pyplot
from nbformat.v4 import new_code_cell, new_notebook, new_output

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.run_figures import figures_shown, run_figures
from rotnet_lib.runs.directory import NOTEBOOK, RunDirectory


def keep(run: RunDirectory, *pages: str) -> None:
    """An executed notebook with these outputs, the first in a cell that shows no result."""
    cells = [
        new_code_cell(
            "x", outputs=[new_output("execute_result", {"text/html": page})], metadata={"tags": ["result"] if n else []}
        )
        for n, page in enumerate(pages)
    ]
    nbformat.write(new_notebook(cells=cells), run.path / NOTEBOOK)


def test_the_figures_of_the_result_cells_in_order(pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    one, two = (ReportFigure(pyplot.figure(), caption, "text").html for caption in ("one", "two"))
    keep(run, one, f"<h2>x</h2>{one}<p>between</p>{two}", "<p>none</p>")
    assert [("one" in figure, "two" in figure) for figure in figures_shown(run)] == [(True, False), (False, True)]
    assert "between" not in run_figures(run).data


@pytest.mark.parametrize("content", [None, "{", '{"cells": []}'])
def test_without_a_notebook_the_remedy_is_said(content: str | None, pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    if content is not None:
        (run.path / NOTEBOOK).write_text(content)
    with pytest.raises(RotnetError, match="ask for the run again"):
        figures_shown(run)


def test_figures_from_before_captions_are_none(pretrained: Callable[..., RunDirectory]) -> None:
    run = pretrained()
    keep(run, "", "<img src='data:'>")
    with pytest.raises(RotnetError, match="no figures with captions"):
        figures_shown(run)
