"""runs/index.html: one page that links every report."""

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from safetensors.numpy import save_file

from rotnet_lib.report.index import write_index
from rotnet_lib.runs.directory import METRICS, NOTEBOOK, PLAN, REPORT, RESUME, directory_of
from rotnet_lib.runs.metrics import Metric
from tests.results import finish


def index_of(root: Path) -> BeautifulSoup:
    return BeautifulSoup(write_index(root).read_text(), "html.parser")


def lines(table: Any) -> dict[str, dict[str, str]]:
    """Name of the directory -> heading -> cell."""
    headings = [heading.get_text() for heading in table.select("thead th")]
    found = {}
    for row in table.select("tbody tr"):
        cells = [cell.get_text(" ").replace("\xa0", " ") for cell in row.select("td")]
        found[row.select_one("td code").get_text()] = dict(zip(headings, cells, strict=True))
    return found


def by_heading(page: BeautifulSoup) -> dict[str, dict[str, dict[str, str]]]:
    """Heading -> the lines of the table below it."""
    return {heading.get_text(): lines(heading.find_next("table")) for heading in page.find_all("h2")}


def runs_of(page: BeautifulSoup) -> dict[str, dict[str, str]]:
    """The lines of all runs, whatever their stage."""
    return {name: cells for heading, found in by_heading(page).items() if heading != "Tables" for name, cells in found.items()}


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
    page = index_of(Path("runs"))
    line = by_heading(page)["Tables"][suite.path.parent.name]
    assert line["suite"].startswith("Table 3: drawn shapes, unsupervised feature learning (4-block NIN)")
    assert line["preset"] == "quick SEEDS=2 SET=epochs=3"
    assert line["finished"] == "1 of 14"
    assert "supervised :  Top-1 accuracy 91.50 %" in line["runs"]
    assert "rotnet :  failed" in line["runs"]
    assert "rotnet-conv, seed 1:  missing" in line["runs"]
    made_up("table5", methods="rotnet")
    newest = next(iter(by_heading(index_of(Path("runs")))["Tables"].values()))
    assert newest["preset"] == "quick METHODS=rotnet"
    assert len(runs_of(page)) == 2  # what has not begun is not listed


def test_runs_stand_below_their_stage_and_say_what_they_are(made_up: Any) -> None:
    suite = made_up(set="epochs=3")
    suite.finish("supervised", 91.5, title="shapes", images=1000)
    suite.finish("rotnet", 80.0, title="shapes", like=Metric(chance=25.0))
    suite.finish("rotnet-conv", 60.0, title="shapes")
    suite.finish("random-conv", 20.0, title="shapes")
    found = by_heading(index_of(Path("runs")))
    assert list(found) == ["Tables", "Pretraining", "Probes of frozen layers"]
    supervised = found["Pretraining"][suite.run("supervised").name]
    assert supervised["run"].startswith("Supervised ")
    assert {"arch": "nin3", "result": "Top-1 accuracy 91.50 % (s.e. 0.88)", "chance": ""}.items() <= supervised.items()
    assert {"state": "finished", "tables": "table3"}.items() <= supervised.items()
    rotnet = found["Pretraining"][suite.run("rotnet").name]
    assert rotnet["run"].startswith("RotNet ")
    assert {"arch": "nin4", "result": "Rotation accuracy 80.00 %", "chance": "25.00 %"}.items() <= rotnet.items()
    probes = found["Probes of frozen layers"]
    assert probes[suite.run("rotnet-conv").name]["run"].startswith("Probe of conv2, conv classifier, on RotNet ")
    assert probes[suite.run("random-conv").name]["run"].startswith("Probe of conv2, conv classifier, on random NIN-4")


def test_what_all_runs_of_a_stage_have_is_said_once(made_up: Any) -> None:
    suite = made_up(set="epochs=3")
    suite.finish("rotnet", 80.0, title="shapes")
    assert {"data", "seed", "epochs"} <= runs_of(index_of(Path("runs")))[suite.run("rotnet").name].keys()
    suite.finish("supervised", 91.5, title="shapes")
    page = index_of(Path("runs"))
    assert {"arch", "result", "chance", "state"} <= runs_of(page)[suite.run("rotnet").name].keys()
    assert not {"data", "seed", "epochs"} & runs_of(page)[suite.run("rotnet").name].keys()
    assert "All of these: data shapes; seed 0; epochs 3." in page.get_text()


def test_of_several_figures_the_best_comes_first(made_up: Any) -> None:
    suite = made_up("table5")
    suite.finish("linear-random", {f"conv{n}_top1": 10.0 + (n == 3) for n in range(1, 6)})
    cells = runs_of(index_of(Path("runs")))[suite.run("linear-random").name]
    assert cells["result"].startswith("conv3 11.00 %")
    assert "conv1 10.00 %, conv2 10.00 %, conv4 10.00 %" in cells["result"]


def test_a_failed_run_says_why(made_up: Any) -> None:
    suite = made_up()
    suite.fail("rotnet")
    error = nbformat.v4.new_output("error", ename="RotnetError", evalue="first\nthe loss is nan. Lower lr.", traceback=["long"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[error])])
    notebook.metadata["papermill"] = {"exception": True}
    nbformat.write(notebook, suite.run("rotnet").directory.path / NOTEBOOK)
    cells = by_heading(index_of(Path("runs")))["Pretraining"][suite.run("rotnet").name]
    assert cells["state"] == "failed: the loss is nan. Lower lr."
    error.ename = "KeyError"
    nbformat.write(notebook, suite.run("rotnet").directory.path / NOTEBOOK)
    assert runs_of(index_of(Path("runs")))[suite.run("rotnet").name]["state"] == "failed: KeyError: the loss is nan. Lower lr."


def test_a_run_that_was_interrupted_says_how_far_it_is(made_up: Any) -> None:
    suite = made_up(set="epochs=4")
    run = suite.run("supervised")
    run.directory.open(run.config)
    header = json.dumps({"history": [{"epoch": 1.0}]})
    save_file({"x": np.zeros(1)}, run.directory.path / RESUME, metadata={"header": header})
    assert runs_of(index_of(Path("runs")))[run.name]["state"] == "running, 25% trained"
    run.directory.close()
    assert runs_of(index_of(Path("runs")))[run.name]["state"] == "interrupted, 25% trained"


def test_a_run_of_no_suite_stands_below_its_stage_too(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 91.5)
    suite.run("rotnet").directory.open(suite.run("rotnet").config)  # of which no notebook tells the stage
    suite.run("rotnet").directory.close()
    suite.path.unlink()
    found = by_heading(index_of(Path("runs")))
    assert suite.run("supervised").name in found["Pretraining"]
    assert found["Of an unknown stage"][suite.run("rotnet").name]["run"].startswith("RotNet ")


def test_tables_of_more_than_ten_rows_can_be_sorted(made_up: Any) -> None:
    suite = made_up(seeds=11)
    for seed in range(11):
        suite.finish("supervised", 91.5, seed=seed)
        if seed == 9:
            assert not index_of(Path("runs")).select("table.sortable")
    [table] = index_of(Path("runs")).select("table.sortable")
    assert len(table.select("tbody tr")) == 11
    assert table.select("thead th")


def test_runs_that_were_renamed_since_they_were_planned_are_finished(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 91.5)
    config = suite.run("rotnet").config.model_copy(update={"seed": 5})
    finish(directory_of(config, "0123"), config, "0123", renamed_from=[suite.run("rotnet").name])
    assert by_heading(index_of(Path("runs")))["Tables"][suite.path.parent.name]["finished"] == "2 of 7"


def test_the_folder_of_a_suite_that_somebody_has_copied_is_listed_too(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 91.5)
    shutil.copytree(suite.path.parent, Path("runs") / "backup")
    assert {suite.path.parent.name, "backup"} <= by_heading(index_of(Path("runs")))["Tables"].keys()


def test_a_damaged_plan_says_by_which_preset_it_is_made_again(made_up: Any) -> None:
    suite = made_up("table5", preset="quick")
    for name in (suite.path.parent.name, "backup"):
        folder = Path("runs") / name
        folder.mkdir(exist_ok=True)
        (folder / PLAN).write_text("{}")
    said = index_of(Path("runs")).get_text()
    assert "Make it again: make reproduce-table5 PRESET=quick, with what else was typed then." in said
    assert "Make it again: make reproduce-backup, with" in said


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
    page = index_of(Path("runs"))
    runs = runs_of(page)
    assert runs[suite.run("supervised").name]["result"] == "Top-1 accuracy 91.50 %"
    assert runs[suite.run("rotnet").name]["state"].startswith("damaged: ")
    assert f"{damaged.relative_to(Path.cwd())} is damaged" in runs[suite.run("rotnet").name]["state"]
    assert by_heading(page)["Tables"][suite.path.parent.name]["finished"] == "1 of 7"


@pytest.mark.parametrize("damage", [b"{", *DAMAGE])
def test_a_damaged_plan_does_not_hide_the_other_reports(damage: bytes, made_up: Any) -> None:
    other = made_up(set="epochs=7")
    other.path.write_bytes(damage)
    suite = made_up()
    suite.finish("supervised", 91.5)
    page = index_of(Path("runs"))
    assert "Table 3: drawn shapes, unsupervised feature learning (4-block NIN)" in page.get_text()
    line = by_heading(page)["Tables"][other.path.parent.name]
    assert line["suite"].startswith("damaged plan.json: ")
    assert str(other.path.relative_to(Path.cwd())) in line["suite"]
