"""Links from a run's page to what belongs to it: only to what there is."""

from html import unescape
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from rotnet_lib.report.made_by import MadeBy
from rotnet_lib.report.run_links import run_links
from rotnet_lib.report.run_report import run_summary


def links(html: str) -> dict[str, str]:
    """Address -> text."""
    return {str(link["href"]): link.get_text() for link in BeautifulSoup(html, "html.parser").find_all("a")}


def test_a_run_links_its_backbone_its_suite_its_files_and_all_runs(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet", 90.0)
    result = suite.finish("rotnet-conv", 80.0)
    run = suite.run("rotnet-conv").directory
    found = links(run_links(run))
    backbone = result.parameters["backbone"]
    assert found["../index.html"] == "All runs and suites"
    assert found[f"../{backbone}/report.html"] == backbone
    shown = found[f"../{suite.directory.name}/report.html"]
    assert "Table 3: drawn shapes, unsupervised feature learning (4-block NIN)" in shown
    assert {"metrics.json", "history.csv", "parameters.yaml"} <= found.keys()


def test_there_is_no_link_to_what_is_not_there(made_up: Any) -> None:
    suite = made_up()
    backbone = suite.finish("rotnet", 90.0).run
    suite.finish("rotnet-conv", 80.0)
    Path("runs", backbone, "report.html").unlink()
    page = run_links(suite.run("rotnet-conv").directory)
    assert "notebook.ipynb" not in links(page)  # made-up runs have none
    assert "model.safetensors" not in links(page)
    assert f"../{backbone}/report.html" not in links(page)
    assert f"{backbone} (it has no page yet)" in page


def test_a_suite_that_does_not_name_a_run_is_not_linked(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet-conv", 80.0)
    other = made_up("inspect")
    assert f"../{other.directory.name}/report.html" not in links(run_links(suite.run("rotnet-conv").directory))


def test_a_damaged_plan_that_names_the_run_is_named(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet", 90.0)
    suite.path.write_text(suite.run("rotnet").name)
    page = run_links(suite.run("rotnet").directory)
    assert "../index.html" in links(page)
    assert f"Whether a suite asks for this run cannot be told: cannot read the plan {suite.path}" in unescape(page)


def test_the_command_that_makes_a_run_is_on_its_page(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet", 90.0)
    made = MadeBy("rotnet run pretrain --preset quick -p arch nin4", {"arch": "nin4"})
    page = BeautifulSoup(run_links(suite.run("rotnet").directory, made), "html.parser")
    assert made.command in [code.get_text() for code in page.find_all("code")]
    assert "Made by" not in run_links(suite.run("rotnet").directory)


def test_the_summary_links_the_page_of_the_backbone(made_up: Any) -> None:
    suite = made_up()
    backbone = suite.finish("rotnet", 90.0).run
    result = suite.finish("rotnet-conv", 80.0)
    assert links(run_summary(result).data) == {f"../{backbone}/report.html": backbone}
