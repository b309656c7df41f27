"""A suite's table to take away, with what is to be cited with it."""

import re
from typing import Any

import pytest

from rotnet_lib.pretext import TASKS
from rotnet_lib.report.copies import copies
from rotnet_lib.report.published import source


def cited(made_up: Any, name: str, **options: Any) -> list[str]:
    """The keys of the entries for BibTeX."""
    [text] = [copy.text for copy in copies(made_up(name, **options).report()) if copy.title == "BibTeX"]
    return re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "papers"),
    [
        ("table3", ["gidaris2018"]),
        ("shortcuts", ["noroozi2016", "doersch2015", "noroozi2017"]),
        ("frozen-stem", ["asano2020", "gidaris2018"]),
        ("decoupling-table4", ["gidaris2018", "feng2019"]),
    ],
)
def test_the_papers_of_figures_and_of_trained_methods_are_cited(name: str, papers: list[str], made_up: Any) -> None:
    assert cited(made_up, name) == [*papers, "rotnet_lib"]


@pytest.mark.parametrize("task", list(TASKS))
def test_the_paper_of_every_task_is_known(task: str) -> None:
    paper = TASKS[task].paper
    assert source(paper).title if paper else task == "labels"
