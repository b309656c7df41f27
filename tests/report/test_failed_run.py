"""The start of a failed run's page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

from rotnet_lib.report.failed_run import failure_summary
from rotnet_lib.report.failure import Failure
from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.runs.directory import RESUME
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.training.checkpoints import save_tensors

FAILURE = Failure("RotnetError", "the loss is nan: training diverged. Lower lr.", "Traceback ...")


def notebook(preset: str | None = None, **parameters: Any) -> Any:
    config = ProbeConfig.build({"backbone": "random", "arch": "nin4", "dataset": "shapes", "width": 1.0} | parameters)
    beside = {} if preset is None else {"preset": preset}
    papermill = {"parameters": config.model_dump(mode="json") | beside, "input_path": "/checkout/notebooks/probe.ipynb"}
    return new_notebook(cells=[new_markdown_cell("# Probing frozen layers")], metadata={"papermill": papermill})


def page(node: Any, directory: Path, failure: Failure = FAILURE) -> BeautifulSoup:
    return BeautifulSoup(failure_summary(node, failure, directory), "html.parser")


def test_it_is_titled_as_its_run(tmp_path: Path) -> None:
    heading = page(notebook(), tmp_path).find("h1")
    assert heading is not None
    assert heading.get_text() == "Probe of conv2, non-linear classifier, on random NIN-4, drawn shapes: failed"


def test_a_notebook_that_was_not_started_by_papermill_keeps_its_title(tmp_path: Path) -> None:
    node = new_notebook(cells=[new_markdown_cell("# Probing frozen layers")])
    heading = page(node, tmp_path).find("h1")
    assert heading is not None
    assert heading.get_text() == "Probing frozen layers: failed"


def test_parameters_are_said_as_they_are_given_and_the_machine_is_named(tmp_path: Path) -> None:
    rows = {
        row.th.get_text(): row.td.get_text() for row in page(notebook(lr=0.5), tmp_path).find_all("tr") if row.th and row.td
    }
    assert rows["lr"] == "0.5"
    assert rows["train_size"] == "all"
    assert rows["validate"] == "none"
    assert "cores" in rows["machine"]
    assert "torch" in rows["versions"]


def test_what_was_given_comes_first_and_the_rest_is_folded(tmp_path: Path) -> None:
    made = MadeBy("rotnet run probe --preset quick -p backbone random -p lr 0.5", {"backbone": "random", "lr": 0.5})
    html = failure_summary(notebook(lr=0.5, preset="quick"), FAILURE, tmp_path, made)
    shown = BeautifulSoup(html, "html.parser")
    assert made.command in shown.get_text()
    first, rest = ([row.th.get_text() for row in table.find_all("tr") if row.th] for table in shown.find_all("table"))
    assert first == ["preset", "lr", "backbone", "machine", "versions"]
    assert {"epochs", "train_size"} <= set(rest)
    assert not set(rest) & set(first)
    assert [table.find_parent("details") is not None for table in shown.find_all("table")] == [False, True]


@pytest.mark.parametrize("number", ["epoch", "iteration"])
def test_the_curve_up_to_the_failure(number: str, tmp_path: Path) -> None:
    rows = [{number: n, "train_loss": 3.0 / n, "test_loss": 3.5 / n} for n in (1, 2)]
    save_tensors(tmp_path / RESUME, {}, {"history": rows, "unverified": []}, run=None)
    shown = page(notebook(), tmp_path)
    [figure] = shown.find_all("figure")
    assert f"up to {number} 2" in figure.get_text()
    [image] = figure.find_all("img")
    assert f"from 3 in {number} 1 to 1.5 in {number} 2" in image["alt"]
    assert "goes on from there" in shown.get_text()


def test_without_a_finished_epoch_there_is_no_curve_and_the_page_says_so(tmp_path: Path) -> None:
    shown = page(notebook(), tmp_path)
    assert shown.find("figure") is None
    assert "Nothing was recorded" in shown.get_text()


@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(np.zeros(100, np.uint8))])
def test_a_damaged_state_is_no_obstacle(content: bytes, tmp_path: Path) -> None:
    (tmp_path / RESUME).write_bytes(content)
    text = page(notebook(), tmp_path).get_text()
    assert "How far it came cannot be shown" in text
    assert FAILURE.text in text
