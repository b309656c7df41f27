"""The page of a collection: how many figures match, a section a suite, and where each figure stands."""

from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.index import write_index
from rotnet_lib.report.overview import write_overview
from rotnet_lib.runs.directory import REPORT
from rotnet_lib.suites.plan import CollectionPlan, Options, make_plan


def overview(*suites: Any) -> BeautifulSoup:
    path = write_overview(Path("runs/all").absolute(), "All of it", [suite.directory.absolute() for suite in suites])
    assert path == Path("runs/all").absolute() / REPORT
    return BeautifulSoup(path.read_text(), "html.parser")


def standings(page: BeautifulSoup) -> dict[str, int]:
    headline = page.find(class_="headline")
    assert headline is not None
    counts = headline.find_all("b")
    return {str(count.next_sibling).strip(): int(count.get_text()) for count in counts}


def lines(page: BeautifulSoup, position: int) -> list[list[str]]:
    table = page.find_all("table")[position]
    for padding in table.select(".pad"):  # space that is not read
        padding.extract()
    return [[cell.get_text().strip() for cell in line.select("th, td")] for line in table.select("tbody tr")]


def text(page: BeautifulSoup) -> str:
    return " ".join(page.get_text().split())


@pytest.fixture
def table3(made_up: Any) -> Any:
    """The published experiment, two seeds: one figure that matches, one below, one above with one seed, three not run."""
    suite = made_up("table3", preset="paper", seeds=2)
    for seed in (0, 1):
        suite.finish("supervised", 92.0 + seed, seed=seed, title="CIFAR-10")
        suite.finish("rotnet-conv", 60.0 + seed, seed=seed, title="CIFAR-10")
    suite.finish("random-conv", 80.0, title="CIFAR-10")
    suite.fail("finetuned-conv")
    return suite


def test_the_headline_counts_how_figures_stand(table3: Any) -> None:
    assert standings(overview(table3)) == {"match": 1, "below": 1, "above (one seed)": 1, "not run": 3}


def test_the_headline_counts_figures_of_all_suites(table3: Any, made_up: Any) -> None:
    counts = standings(overview(table3, made_up("table2", preset="paper", seeds=2)))
    assert counts == {"match": 1, "below": 1, "above (one seed)": 1, "not run": 3 + 4}


def test_other_methods_rows_are_not_counted(table3: Any) -> None:
    page = overview(table3)
    assert len(lines(page, 0)) == 6
    assert "ExemplarCNN" not in text(page)


def test_a_line_gives_published_measured_seeds_and_standing(table3: Any) -> None:
    found = {line[0]: line[1:] for line in lines(overview(table3), 0)}
    assert found["Supervised NIN"] == ["92.8", "92.50 ± 0.71", "2", "match"]
    assert found["Random Init. + conv"] == ["72.5", "80.00", "1", "above (one seed)"]
    assert found["RotNet + conv (fine-tuned)"] == ["92.17", "", "0", "not run: 1 failed, 1 missing"]


def test_every_suite_has_a_section_with_its_verdict_and_a_link_to_its_report(table3: Any, made_up: Any) -> None:
    suites = [table3, made_up("figure5b", seeds=2)]
    page = overview(*suites)
    headings = page.find_all("h2")
    assert [heading.get_text() for heading in headings] == [suite.report().suite["title"] for suite in suites]
    links = [str(link["href"]) for link in page.select("h2 a")]
    assert links == [f"../{suite.directory.name}/{REPORT}" for suite in suites]
    for suite in suites:
        assert suite.report().verdict in text(page)


def test_a_suite_with_runs_to_come_says_how_many_are_finished(table3: Any, made_up: Any) -> None:
    assert "5 of 14 runs finished." in text(overview(table3))
    whole = made_up("table9")
    whole.finish_all(by_target={"cat": 60.0})
    assert "runs finished" not in text(overview(whole))


def test_columns_stand_beside_their_rows(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", 70.0)
    found = lines(overview(suite), 0)
    assert [line[:2] for line in found[:3]] == [["RotNet with 3 conv. blocks", f"conv{n}"] for n in (1, 2, 3)]
    assert len(found) == 12


def test_an_axis_is_named_over_its_column(made_up: Any) -> None:
    page = overview(made_up("figure5b", preset="paper"))
    headings = [cell.get_text() for cell in page.select("thead th")]
    assert headings[1] == "labelled images per class"
    assert [line[1] for line in lines(page, 0)] == ["20", "100", "400", "1000", "all"] * 2


def test_figures_that_are_not_published_are_counted_as_such(made_up: Any) -> None:
    suite = made_up("inspect")
    suite.finish("inspect", 70.0, by_target={"0 degrees": 80.0, "90 degrees": 60.0}, trained=False)
    assert standings(overview(suite)) == {"not published": 2}


def test_a_figure_nobody_knows_the_columns_of_is_not_run(made_up: Any) -> None:
    assert standings(overview(made_up("inspect"))) == {"not run": 1}


def test_a_small_experiment_is_said_to_be_one_and_held_against_nothing(table3: Any, made_up: Any) -> None:
    small = made_up("table3")
    small.finish_all()
    page = overview(small)
    assert "This is not the published experiment" in text(page)
    assert standings(page) == {"another experiment": 6}
    assert {line[-1] for line in lines(page, 0)} == {"another experiment"}
    assert "This is not the published experiment" not in text(overview(table3))


def test_how_a_match_is_told_is_said_where_something_is_compared(table3: Any, made_up: Any) -> None:
    assert "match: measured mean and published figure" in text(overview(table3))
    small = made_up("table3")
    small.finish_all()
    assert "match: measured mean" not in text(overview(small))


def test_there_is_no_column_for_published_figures_where_there_are_none(table3: Any, made_up: Any) -> None:
    small = made_up("inspect")
    small.finish("inspect", 70.0, by_target={"0 degrees": 80.0, "90 degrees": 60.0}, trained=False)
    with_some, without = (
        [cell.get_text() for cell in table.select("thead th")] for table in overview(table3, small).find_all("table")
    )
    assert "published" in with_some
    assert "published" not in without


def test_a_title_begins_with_a_capital_where_other_data_stand_in(made_up: Any) -> None:
    suite = made_up("table8")
    path = write_overview(Path("runs/all").absolute(), "PASCAL VOC: table 8", [suite.directory.absolute()])
    heading = BeautifulSoup(path.read_text(), "html.parser").h1
    assert heading is not None
    assert heading.get_text() == "Drawn scenes: table 8"


def test_data_and_preset_are_named(table3: Any) -> None:
    assert "CIFAR-10, preset paper" in text(overview(table3))


def test_before_anything_has_run_there_is_a_page_all_the_same(made_up: Any) -> None:
    page = overview(made_up("table3"), made_up("questions"))
    assert standings(page) == {"not run": 6 + 17}
    assert "none yet, preset quick" in text(page)


# --- In the index ---


def test_the_index_links_the_collection_and_its_suites() -> None:
    plan = make_plan("cifar10", Options(preset="quick"))
    assert isinstance(plan, CollectionPlan)
    plan.write()
    for part in plan.parts:
        part.write()
        (part.directory / REPORT).write_text("a suite's report")
    write_overview(plan.directory, plan.collection.title, [part.directory for part in plan.parts])
    page = BeautifulSoup(write_index(Path("runs")).read_text(), "html.parser")
    links = {str(link["href"]) for link in page.find_all("a")}
    assert links == {f"{directory.name}/{REPORT}" for directory in (plan.directory, *(part.directory for part in plan.parts))}
    [line] = [row for row in page.select("tbody tr") if "All of drawn shapes: tables 1, 2, 3 and 9" in row.get_text()]
    assert [cell.get_text() for cell in line.select("td")][1:3] == ["quick", "0 of 55"]
