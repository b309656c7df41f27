"""runs/index.html: one page that links every report."""

from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.index import write_index
from rotnet_lib.runs.directory import METRICS, REPORT, directory_of
from tests.results import finish


def index_of(root: Path) -> BeautifulSoup:
    return BeautifulSoup(write_index(root).read_text(), "html.parser")


def lines(table: Any) -> dict[str, list[str]]:
    """First cell -> all cells."""
    found = [[cell.get_text() for cell in line.select("td")] for line in table.select("tbody tr")]
    return {line[0]: line for line in found}


def test_every_report_is_linked_and_every_link_leads_to_a_file(made_up: Any) -> None:
    suite = made_up(set="epochs=3")
    suite.finish("supervised", 91.5)
    suite.finish("rotnet", 80.0)
    suite.fail("rotnet-conv")
    (suite.path.parent / REPORT).write_text("the table")
    page = index_of(Path("runs"))
    links = {str(link["href"]) for link in page.find_all("a")}
    runs = {suite.run(key).name for key in ("supervised", "rotnet", "rotnet-conv")}
    assert links == {f"{name}/{REPORT}" for name in runs | {suite.path.parent.name}}
    assert all((Path("runs") / link).is_file() for link in links)


def test_it_says_how_far_suites_and_runs_are(made_up: Any) -> None:
    suite = made_up(set="epochs=3", seeds=2)
    suite.finish("supervised", 91.5, title="shapes")
    suite.fail("rotnet")
    suites, runs = index_of(Path("runs")).find_all("table")
    line = lines(suites)[suite.plan.suite.title]
    assert line[1] == "quick SEEDS=2 SET=epochs=3"
    assert line[2] == "1 of 14"
    made_up("table5", methods="rotnet")
    newest, _ = lines(index_of(Path("runs")).find_all("table")[0]).values()
    assert newest[1] == "quick METHODS=rotnet"
    finished, failed = lines(runs)[suite.run("supervised").name], lines(runs)[suite.run("rotnet").name]
    assert finished[1:4] == ["finished", "top1 91.50 %", "shapes"]
    assert failed[1] == "failed"
    assert len(lines(runs)) == 2  # what has not begun is not listed


def test_runs_that_were_renamed_since_they_were_planned_are_finished(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 91.5)
    config = suite.run("rotnet").config.model_copy(update={"seed": 5})
    finish(directory_of(config, "0123"), config, "0123", renamed_from=[suite.run("rotnet").name])
    suites, _ = index_of(Path("runs")).find_all("table")
    assert lines(suites)[suite.plan.suite.title][2] == "2 of 7"


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert "make reproduce-table3" in index_of(tmp_path / "runs").get_text()


def test_a_report_that_is_not_there_is_not_linked(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 91.5)
    (suite.run("supervised").directory.path / REPORT).unlink()
    page = index_of(Path("runs"))
    assert page.find_all("a") == []
    assert suite.run("supervised").name in page.get_text()


DAMAGE = [b"", b"\xff\xfe", b"null", b"{}", b"[]", b"1", b'{"runs": 3}', b'{"schema_version": 1}']


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_damaged_result_does_not_hide_the_other_reports(damage: bytes, made_up: Any) -> None:
    """The index is written after every run, also of runs that have nothing to do with the damaged one."""
    suite = made_up()
    suite.finish("supervised", 91.5)
    suite.finish("rotnet", 80.0)
    damaged = suite.run("rotnet").directory.path / METRICS
    damaged.write_bytes(damage)
    suites, tables = index_of(Path("runs")).find_all("table")
    runs = lines(tables)
    assert runs[suite.run("supervised").name][2] == "top1 91.50 %"
    assert runs[suite.run("rotnet").name][1] == "damaged"
    assert f"{damaged.relative_to(Path.cwd())} is damaged" in runs[suite.run("rotnet").name][2]
    assert lines(suites)[suite.plan.suite.title][2] == "1 of 7"


@pytest.mark.parametrize("damage", [b"{", *DAMAGE])
def test_a_damaged_plan_does_not_hide_the_other_reports(damage: bytes, made_up: Any) -> None:
    other = made_up(set="epochs=7")
    other.path.write_bytes(damage)
    suite = made_up()
    suite.finish("supervised", 91.5)
    page = index_of(Path("runs"))
    assert suite.plan.suite.title in page.get_text()
    [line] = [title for title in lines(page.find_all("table")[0]) if title.startswith("damaged plan.json: ")]
    assert str(other.path.relative_to(Path.cwd())) in line
