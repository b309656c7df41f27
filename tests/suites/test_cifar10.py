"""Everything of CIFAR-10, tiny, through the engine: every suite's report and the page of all.

Nearly all runs are made in this process, since a kernel each would take minutes; the engine finds them finished and makes
the rest, a run and one that builds on it, and a page that a finished run lacks. The reports are drawn in this process.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.report_config import ReportConfig
from rotnet_lib.report.suite_report import SuiteReport
from rotnet_lib.runs.directory import METRICS, PLAN, REPORT, RunDirectory
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.engine import reproduce
from rotnet_lib.suites.plan import CollectionPlan, Options, Plan, make_plan
from rotnet_lib.suites.suite import load_collection
from tests.results import fetched, stand_in_page
from tests.suites.cells import run_cells

# 120 images a class: the quick preset's sweep asks for up to 100. The pretext run has an epoch for each checkpoint.
TINY = "width=0.03 image_size=16 train_size=1200 test_size=50 epochs=1 batch_size=100 rotnet.epochs=5 device=cpu"
LEFT = {"weighted", "probe-weighted"}
"""Runs for the engine: one that takes the weights of copies, and one that builds on it."""
PAGELESS = ("inspect",)
"""Finished runs whose pages the engine draws: one that builds on two runs, and whose pictures its suite's report shows."""

SUITES = load_collection("cifar10").suites

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Made:
    plan: CollectionPlan
    returned: Path
    output: str
    results: dict[str, bytes]
    """Run -> its `metrics.json`, of those that were finished before."""

    def part(self, suite: str) -> Plan:
        return next(part for part in self.plan.parts if part.suite.name == suite)

    def run(self, key: str) -> RunDirectory:
        return next(run.directory for part in self.plan.parts for run in part.runs if run.key == key)

    def page(self, suite: str) -> BeautifulSoup:
        return BeautifulSoup((self.part(suite).directory / REPORT).read_text(), "html.parser")

    def report(self, suite: str) -> SuiteReport:
        directory = self.part(suite).directory
        return SuiteReport(ReportConfig(suite=suite, plan=str(directory / PLAN), runs=str(directory.parent)))


@contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """What this process and those that it starts print goes to a file."""
    with path.open("w", buffering=1) as log, redirect_stdout(log):
        usual = os.dup(1)
        os.dup2(log.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(usual, 1)
            os.close(usual)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("cifar10")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTNET_DATA", str(folder / "data"))
        patch.setenv("ROTNET_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        plan = make_plan("cifar10", Options(preset="quick", set=TINY, runs=str(folder / "runs")))
        assert isinstance(plan, CollectionPlan)
        for run in plan.runs:
            if run.key not in LEFT:
                STAGES[run.config.stage].run(run.config).save()
            if run.key not in (*LEFT, *PAGELESS):
                stand_in_page(run.directory)
        results = {run.key: (run.directory.path / METRICS).read_bytes() for run in plan.runs if run.directory.finished}
        with printed_to(folder / "log"):
            returned = reproduce(plan, cores=2, executor=None, run_notebook=run_cells)
    return Made(plan, returned, (folder / "log").read_text(), results)


def text(page: Any) -> str:
    return " ".join(page.get_text(" ").split())


# --- The engine ---


def test_only_what_is_missing_is_made_whatever_suite_it_is_of(made: Made) -> None:
    said = f"{len(LEFT)} of {len(made.plan.runs)} runs to make; pages to draw of finished runs: {len(PAGELESS)} "
    assert said in made.output
    assert set(re.findall(r"^(\S+) s0 \| starts", made.output, re.MULTILINE)) == LEFT


def test_pages_that_finished_runs_lacked_are_drawn_from_their_results(made: Made) -> None:
    drawn = set(re.findall(r"^(\S+) s0 \| is finished, its page is missing: draws it", made.output, re.MULTILINE))
    assert drawn == set(PAGELESS)
    for key in PAGELESS:
        run = made.run(key)
        assert (run.path / METRICS).read_bytes() == made.results[key]
        shown = text(BeautifulSoup((run.path / REPORT).read_text(), "html.parser"))
        for name, metric in run.result().metrics.items():
            assert f"{name} {metric.last:.2f}" in shown
    assert not any(run.directory.lacks_page for run in made.plan.runs)


def test_every_run_is_finished(made: Made) -> None:
    assert {run.key: run.directory.state for run in made.plan.runs} == {run.key: "finished" for run in made.plan.runs}


def test_what_is_returned_is_the_page_of_all(made: Made) -> None:
    assert made.returned == made.plan.directory / REPORT


def test_the_engine_made_a_weighted_run_with_its_weights_and_then_its_probe(made: Made) -> None:
    assert made.run("weighted").result().parameters["pu_weights"] == made.run("pu").name
    assert made.run("pu").result().parameters["backbone"] == made.run("rotnet").name
    first, second = (made.run(key) for key in ("weighted", "probe-weighted"))
    assert second.result().parameters["backbone"] == first.name
    assert (first.path / METRICS).stat().st_mtime_ns < (second.path / METRICS).stat().st_mtime_ns


# --- Every suite's report ---


@pytest.mark.parametrize("suite", SUITES)
def test_every_figure_is_measured(suite: str, made: Made) -> None:
    cells = [cell for row in made.report(suite).rows for cell in row.cells.values() if cell.planned]
    assert cells
    assert [cell.n for cell in cells] == [1] * len(cells)
    page = made.page(suite)
    [table] = page.select("table.figures")
    assert not re.search("missing|failed|not run", text(table))
    assert not re.search(r"\d+ of \d+ figures", text(page))  # said where some are missing


@pytest.mark.parametrize("suite", SUITES)
def test_a_report_begins_with_its_title_and_says_that_this_is_not_the_published_experiment(suite: str, made: Made) -> None:
    page, report = made.page(suite), made.report(suite)
    title = report.suite["title"]
    assert [heading.get_text() for heading in page.find_all("h1")] == [title]
    assert title == made.part(suite).suite.title.replace("CIFAR-10", "drawn shapes")
    published = any(cell.published is not None for row in report.rows for cell in row.cells.values())
    words = ["This is not the published experiment", "These are not the protocol's settings"]
    assert [said in text(page) for said in words] == [published, not published]


@pytest.mark.parametrize("suite", SUITES)
def test_a_report_has_its_pictures(suite: str, made: Made) -> None:
    """One of the table, one of the learning curves, one a question, and those of the inspection's own page."""
    inspected = [run.directory for run in made.part(suite).runs if run.config.stage == "inspect"]
    pages = [BeautifulSoup((run.path / REPORT).read_text(), "html.parser") for run in inspected]
    shown = [str(figure) for page in pages for figure in page.find_all("figure")]
    assert bool(shown) == (suite == "inspect")
    figures = made.page(suite).find_all("figure")
    assert len(figures) == 2 + len(made.part(suite).suite.questions) + len(shown)
    assert {str(figure) for figure in figures} >= set(shown)
    for figure in figures:
        assert [str(image["src"])[:11] for image in figure.find_all("img")] == ["data:image/"]


@pytest.mark.parametrize("suite", SUITES)
def test_a_report_stands_alone(suite: str, made: Made) -> None:
    html = (made.part(suite).directory / REPORT).read_text()
    assert fetched(html) == []
    assert len(html) < 3e6


@pytest.mark.parametrize("suite", SUITES)
def test_links_of_a_report_lead_to_the_pages_of_its_runs(suite: str, made: Made) -> None:
    page = made.page(suite)
    links = [str(link["href"]) for link in page.find_all("a")]
    sections, kept = ([link for link in links if link.startswith(start)] for start in ("#", "data:"))
    assert sections == [f"#{heading['id']}" for heading in page.find_all("h2")]
    assert len(set(sections)) == len(sections)
    downloads = page.select("a[download]")
    assert [link["download"] for link in downloads] == [f"{suite}.{kind}" for kind in ("csv", "md", "tex", "bib")]
    assert kept == [link["href"] for link in downloads]
    files = set(links).difference(sections, kept)
    assert files == {"../index.html"} | {f"../{run.directory.name}/{REPORT}" for run in made.part(suite).runs}
    assert all((made.part(suite).directory / link).is_file() for link in files)


@pytest.mark.parametrize("suite", SUITES)
def test_the_table_is_there_as_data(suite: str, made: Made) -> None:
    table = pd.read_csv(made.part(suite).directory / "table.csv")
    planned = {row.label for row in made.part(suite).suite.rows}
    assert table[table["row"].isin(planned)]["measured"].notna().all()
    assert set(table["row"]) >= planned


def test_figure5a_has_a_column_an_epoch_that_was_kept(made: Made) -> None:
    report = made.report("figure5a")
    assert list(report.columns.values()) == ["1", "2", "3", "4", "5"]
    rotation, _ = report.rows
    history = pd.read_csv(made.run("rotnet").path / "history.csv")
    assert [cell.mean for cell in rotation.cells.values()] == pytest.approx(history["test_rotation_top1"].tolist())


def test_figure5b_has_the_presets_columns_and_says_that_they_are(made: Made) -> None:
    assert list(made.report("figure5b").columns.values()) == ["5", "20", "100", "120"]
    assert "labels 20, 100, 400, 1000, all 5, 20, 100, all" in text(made.page("figure5b"))


def test_runs_on_few_labels_were_trained_on_as_many(made: Made) -> None:
    assert made.run("supervised-5").result().data.train_images == 50
    assert made.run("rotnet-20").result().data.train_images == 200


def test_table9_has_a_column_a_class(made: Made) -> None:
    classes = made.run("supervised").result().data.classes
    assert list(made.report("table9").columns) == classes


def test_the_inspection_has_a_column_a_rotation(made: Made) -> None:
    assert list(made.report("inspect").columns) == [f"{angle} degrees" for angle in (0, 90, 180, 270)]


def test_every_question_is_answered(made: Made) -> None:
    questions = made.report("questions").suite["questions"]
    assert len(questions) == len(made.part("questions").suite.questions)
    page = made.page("questions")
    for question in questions:
        heading = next(element for element in page.find_all("h2") if element.get_text() == question["ask"])
        paragraph = heading.find_next_sibling("p")
        assert paragraph is not None
        answer = paragraph.get_text()
        told = "Yes|No|In part" if question["yes_if"] else "A difference|A difference in part"
        assert re.match(f"({told}|No difference can be told): “", answer)
        for label in (question["baseline"], *question["against"]):
            assert f"“{label}”" in answer


# --- The page of all ---


def test_the_page_of_all_has_a_section_and_a_link_a_suite(made: Made) -> None:
    page = BeautifulSoup((made.plan.directory / REPORT).read_text(), "html.parser")
    links = [str(link["href"]) for link in page.select("h2 a")]
    assert links == [f"../{part.directory.name}/{REPORT}" for part in made.plan.parts]
    assert all((made.plan.directory / link).is_file() for link in links)


def test_the_page_of_all_counts_every_figure(made: Made) -> None:
    page = BeautifulSoup((made.plan.directory / REPORT).read_text(), "html.parser")
    headline = page.find(class_="headline")
    assert headline is not None
    figures = [cell for suite in SUITES for row in made.report(suite).rows for cell in row.cells.values() if cell.planned]
    assert sum(int(count.get_text()) for count in headline.find_all("b")) == len(figures)
    assert "not run" not in text(headline)


def test_the_index_links_the_page_of_all_and_every_suite(made: Made) -> None:
    root = made.plan.directory.parent
    directories = [made.plan.directory, *(part.directory for part in made.plan.parts)]
    links = {str(link["href"]) for link in BeautifulSoup((root / "index.html").read_text(), "html.parser").find_all("a")}
    assert {f"{directory.name}/{REPORT}" for directory in directories} <= links
    assert all((root / link).is_file() for link in links)
