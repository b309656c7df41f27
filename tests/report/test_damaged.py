"""What a suite's report does with damaged files, and with those from before files carried a checksum."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.errors import RotnetError
from rotnet_lib.report.html import render
from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.run_report import run_details
from rotnet_lib.report.suite_page import summary
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.directory import HISTORY, METRICS, PARAMETERS, RunDirectory
from rotnet_lib.runs.identity import result_checksum
from tests.report.pages import text
from tests.results import forget_checksums

DAMAGED_PLANS: list[bytes | None] = [
    None,
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"1",
    b'{"runs": 3}',
    b'{"suite": {}}',
]


@pytest.mark.parametrize("damage", DAMAGED_PLANS, ids=repr)
def test_a_damaged_plan_is_named(damage: bytes | None, made_up: Any) -> None:
    path = Path(made_up().path)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(RotnetError, match=re.escape(str(path))):
        SuiteReport(ReportConfig(plan=str(path)))


def change(plan: dict[str, Any], where: str, value: Any) -> None:
    """Set an entry of nested dictionaries and lists: `runs.0.name`."""
    *way, last = where.split(".")
    place: Any = plan
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("runs.0.name", "../elsewhere"),
        ("runs.0.name", ""),
        ("runs.0.parameters", {}),
        ("runs.0.upstream", ["nobody"]),
        ("runs.0.dataset", "nothing"),
        ("runs.0.departures", {"task": [1]}),
        ("suite.rows", 3),
        ("suite.rows.0.cells", {}),
        ("suite.rows.0.cells.top1.run", "nobody"),
        ("suite.published", "no table"),
        ("suite.axis", "weight"),
        ("suite.title", None),
        ("suite.changed_sweeps", {"epochs": [1]}),
        ("suite.questions", [{"ask": "?", "baseline": "nobody", "against": [], "column": None}]),
        ("options", None),
    ],
)
def test_a_plan_that_does_not_fit_together_is_named(where: str, value: Any, made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    plan = json.loads(suite.path.read_text())
    change(plan, where, value)
    suite.path.write_text(json.dumps(plan))
    with pytest.raises(RotnetError, match=f"cannot read the plan {suite.path}"):
        SuiteReport(ReportConfig(plan=str(suite.path)))


@pytest.mark.parametrize("name", [METRICS, HISTORY, PARAMETERS])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"null", b"[]", b"{}", b"1", None], ids=repr)
def test_a_damaged_run_is_named_and_the_others_are_reported(name: str, content: bytes | None, made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    path = suite.run("rotnet-conv").directory.path / name
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    report = suite.report()
    cells = {row.label: cell for row in report.rows for cell in row.cells.values() if cell.planned}
    assert [label for label, cell in cells.items() if cell.mean is None] == ["RotNet + conv"]
    assert cells["RotNet + conv"].unfinished == "damaged"
    assert "damaged" in summary(report).data
    assert f"Damaged: rotnet-conv, seed 0: {path}" in text(report)


def test_a_history_of_another_run_is_damage(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish_all()
    one, two = (suite.run("rotnet", seed).directory for seed in (0, 1))
    table = (one.path / HISTORY).read_text()
    (two.path / HISTORY).write_text(table.replace("25.0", "26.0"))
    assert f"{two.path / HISTORY} is damaged: it is not what the run wrote" in text(suite.report())


# --- Files from before they carried a checksum ---


def test_files_from_before_are_used_and_named(made_up: Any) -> None:
    suite = made_up("figure5b")
    old, new = (suite.run(key).directory for key in ("rotnet-5", "rotnet-20"))
    suite.finish("rotnet-5", 40.0)
    suite.finish("rotnet-20", 60.0)
    forget_checksums(old)
    report = suite.report()
    assert [m.last for run in report.runs if run.result for m in run.result.metrics.values()] == [40.0, 60.0]
    assert report.unverified == [f"{old.name}/{METRICS}", f"{old.name}/{HISTORY}"]
    said = f"unverified: {old.name}/{METRICS}, {old.name}/{HISTORY} were written before files carried a checksum."
    assert said in text(report)
    assert new.name not in said


def test_what_a_run_read_unverified_is_named(made_up: Any) -> None:
    suite = made_up()
    result = suite.finish("rotnet-conv", 80.0)
    result.unverified = ["rotation-nin4/model.safetensors"]
    suite.run("rotnet-conv").directory.save(result)
    shown = text(suite.report())
    assert "unverified: rotation-nin4/model.safetensors was written before files carried a checksum." in shown


def test_where_all_files_carry_checksums_nothing_is_said(made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    assert "unverified" not in text(suite.report())


# --- Results that do not say what they were measured with ---


def change_environment(run: RunDirectory, environment: Any) -> None:
    """In a finished run's result, with a checksum that is right again."""
    path = run.path / METRICS
    document = json.loads(path.read_text()) | {"environment": environment}
    if "checksum" in document:
        document["checksum"] = result_checksum(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("before_checksums", [False, True])
@pytest.mark.parametrize("environment", [{}, {"device": "A processor", "packages": {"torch": "1.0"}}], ids=repr)
def test_what_a_result_does_not_say_of_its_machine_is_unknown(
    environment: dict[str, Any], before_checksums: bool, made_up: Any
) -> None:
    suite = made_up()
    suite.finish_all()
    run = suite.run("rotnet-conv").directory
    if before_checksums:
        forget_checksums(run)
    change_environment(run, environment)
    report = suite.report()
    assert [run.state for run in report.runs] == ["finished"] * len(report.runs)
    device, packages = ("A processor", ", torch 1.0") if environment else ("unknown", "")
    for shown, threads in (
        (text(report), f"{device}, CPU threads per run: unknown"),
        (run_details(run.result()).data, f"{device}, an unknown number of threads"),
    ):
        assert threads in shown
        assert f"rotnet-lib unknown at unknown, Python unknown{packages}" in shown


@pytest.mark.parametrize("environment", [3, None, {"packages": 3}, {"processes": "many"}, {"device": None}], ids=repr)
def test_what_a_result_cannot_say_of_its_machine_is_damage(environment: Any, made_up: Any) -> None:
    suite = made_up()
    suite.finish_all()
    run = suite.run("rotnet-conv").directory
    change_environment(run, environment)
    report = suite.report()
    assert run.state == "damaged"
    assert f"Damaged: rotnet-conv, seed 0: {run.path / METRICS} is damaged or from another version (environment" in text(report)


# --- Notebooks ---


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[]", b"{}", b"1", b'{"cells": 3}', None], ids=repr)
def test_a_notebook_that_is_none_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RotnetError, match=re.escape(str(path))):
        render(path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
