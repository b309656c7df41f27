"""A page of two runs side by side."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner, Result

from rotnet_lib.cli import main
from rotnet_lib.report.compare_runs import TwoRuns
from rotnet_lib.report.figure_style import COLOURS
from rotnet_lib.runs.directory import HISTORY, METRICS, REPORT, directory_of
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.schema import MetricValue
from tests.results import finish


def compare(*words: str) -> Result:
    return CliRunner().invoke(main, ["compare", *words])


@pytest.fixture
def probes(made_up: Any) -> Any:
    """A suite with two probes of one RotNet, finished, of 1000 test images."""
    suite = made_up(set="epochs=3")
    suite.finish("rotnet", 80.0)
    suite.finish("rotnet-conv", 60.0, images=1000)
    suite.finish("rotnet-nonlinear", 70.0, images=1000)
    return suite


def names(suite: Any, *keys: str) -> list[str]:
    return [suite.run(key).name for key in keys]


def finish_again(suite: Any, key: str, last: float, **more: Any) -> None:
    """Finish a run of a suite with another result."""
    shutil.rmtree(suite.run(key).directory.path)
    suite.finish(key, last, **more)


def tables(page: Path) -> list[dict[str, list[str]]]:
    """Each table: first cell -> the others."""
    found = []
    for table in BeautifulSoup(page.read_text(), "html.parser").find_all("table"):
        rows = [[cell.get_text() for cell in row.select("td")] for row in table.select("tbody tr")]
        found.append({row[0]: row[1:] for row in rows})
    return found


def test_the_page_has_figures_parameters_curves_and_links(probes: Any) -> None:
    first, second = names(probes, "rotnet-conv", "rotnet-nonlinear")
    done = compare(first, second)
    assert done.exit_code == 0, done.output
    *said, last = done.output.splitlines()
    assert said[0] == "Top-1 accuracy: 60.00 %, 70.00 %: +10.00 points, more than the sampling error"
    assert "classifier conv -> nonlinear" in said[1]
    page = Path(last.removeprefix("page: "))
    assert page.parent == Path.cwd() / "runs"
    figures, parameters, *_ = tables(page)
    assert figures["Top-1 accuracy"] == ["60.00 %", "70.00 %", "+10.00 points", "more than the sampling error"]
    assert parameters["classifier"] == ["conv", "nonlinear"]
    assert "backbone" not in parameters
    html = BeautifulSoup(page.read_text(), "html.parser")
    links = [str(link["href"]) for link in html.find_all("a")]
    assert links == [f"{first}/{REPORT}", f"{second}/{REPORT}"]
    [picture] = html.find_all("img")
    assert "60.00 %, 70.00 %" in picture["alt"]
    [heading] = html.find_all("h1")
    assert heading.get_text() == (
        "Top-1 accuracy: “B” is 10.00 points higher than “A” (70.00 against 60.00), more than the sampling error"
    )
    assert "conv2, conv classifier, on RotNet" in html.get_text()
    assert "conv2, non-linear classifier, on RotNet" in html.get_text()


def test_a_difference_within_the_error_is_called_so(probes: Any) -> None:
    finish_again(probes, "rotnet-nonlinear", 61.0, images=1000)
    assert "+1.00 points, within the sampling error" in compare(*names(probes, "rotnet-conv", "rotnet-nonlinear")).output


def test_an_error_that_is_not_known_is_not_made_up(probes: Any) -> None:
    finish_again(probes, "rotnet-nonlinear", 61.0)
    assert "+1.00 points, its error is not known" in compare(*names(probes, "rotnet-conv", "rotnet-nonlinear")).output


def test_figures_that_one_run_alone_has_are_shown_without_a_difference(probes: Any) -> None:
    output = compare(*names(probes, "rotnet", "rotnet-conv")).output.splitlines()
    assert output[:2] == ["Rotation accuracy: 80.00 %, none", "Top-1 accuracy: none, 60.00 %"]
    [page] = Path("runs").glob("compare-*.html")
    _, parameters, *_ = tables(page)
    assert parameters["stage"] == ["pretrain", "probe"]


def test_runs_without_a_common_figure_have_no_result_between_them(probes: Any) -> None:
    two = TwoRuns(*(probes.run(key).directory for key in ("rotnet", "rotnet-conv")))
    assert two.result == "Two runs side by side"


def test_the_curves_have_chance_and_the_marks_of_other_figures(made_up: Any) -> None:
    suite = made_up(set="epochs=3")
    for key, last in (("rotnet-conv", 60.0), ("rotnet-nonlinear", 70.0)):
        suite.finish(key, last, course=[10.0, 40.0, last], like=Metric(chance=10.0))
    drawn = TwoRuns(*(suite.run(key).directory for key in ("rotnet-conv", "rotnet-nonlinear"))).curves
    assert drawn is not None
    [legend] = drawn.figure.legends
    assert [text.get_text() for text in legend.get_texts()][-1] == "chance"
    accuracy = drawn.figure.axes[-1]
    curves = [line for line in accuracy.get_lines() if line.get_linestyle() != ":"]
    assert {line.get_color() for line in curves} == set(COLOURS[:2])
    [chance] = [line for line in accuracy.get_lines() if line.get_linestyle() == ":"]
    assert set(chance.get_ydata()) == {10.0}  # type: ignore[arg-type]


def test_figures_of_two_layers_are_compared(probes: Any) -> None:
    config = probes.run("rotnet-conv").config.model_copy(update={"layer": ("conv4",)})
    run = directory_of(config, "0123")
    finish(run, config, "0123", metrics={"conv4_top1": MetricValue(last=50.0, images=1000)})
    said = compare(probes.run("rotnet-conv").name, run.name).output.splitlines()
    assert "top1 of conv2 and of conv4: 60.00 %, 50.00 %: -10.00 points, more than the sampling error" in said


def test_options_of_a_task_differ_key_by_key(made_up: Any) -> None:
    suite = made_up("table2")
    for key in ("rotnet", "rotnet-0-180"):
        suite.finish(key, 60.0)
    assert (
        "parameters that differ: task_options.angles 0, 90, 180, 270 -> 0, 180"
        in compare(*names(suite, "rotnet", "rotnet-0-180")).output
    )


def test_figures_of_two_kinds_are_not_subtracted(probes: Any) -> None:
    finish_again(probes, "rotnet-nonlinear", 21.0, like=Metric(unit="dB"))
    assert (
        compare(*names(probes, "rotnet-conv", "rotnet-nonlinear")).output.splitlines()[0] == "Top-1 accuracy: 60.00 %, 21.00 dB"
    )


def test_figures_of_other_images_come_with_a_warning(probes: Any) -> None:
    other = type(probes)("table3", set="epochs=3 validate=0.1")
    other.finish("rotnet-conv", 50.0)
    done = compare(probes.run("rotnet-conv").name, other.run("rotnet-conv").name)
    assert done.output.startswith("The figures are of different images: ")
    [page] = Path("runs").glob("compare-*.html")
    assert "The figures are of different images" in page.read_text()


def test_runs_that_differ_in_their_seed_alone_are_told_apart(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed in (0, 1):
        suite.finish("supervised", 60.0 + seed, seed=seed)
    two = TwoRuns(suite.run("supervised").directory, suite.run("supervised", 1).directory)
    assert two.names == ("Supervised NIN-3 trained on made up, seed 0", "Supervised NIN-3 trained on made up, seed 1")
    assert [entry for entry in two.parameters if entry[0] != "seed"] == []


def test_runs_without_a_history_have_no_curves(probes: Any) -> None:
    finish_again(probes, "rotnet-nonlinear", 61.0, trained=False)
    done = compare(*names(probes, "rotnet-conv", "rotnet-nonlinear"), "--output", "both.html")
    assert done.output.splitlines()[-1] == "page: both.html"
    assert "The two have no curve in common" in Path("both.html").read_text()


def test_a_page_elsewhere_links_the_runs_pages_from_there(probes: Any) -> None:
    Path("elsewhere").mkdir()
    compare(*names(probes, "rotnet-conv", "rotnet-nonlinear"), "--output", "elsewhere/both.html")
    html = BeautifulSoup(Path("elsewhere/both.html").read_text(), "html.parser")
    assert all((Path("elsewhere") / str(link["href"])).is_file() for link in html.find_all("a"))


def test_a_run_may_be_named_by_its_path(probes: Any) -> None:
    first, second = (str(probes.run(key).directory.path) for key in ("rotnet-conv", "rotnet-nonlinear"))
    assert compare(first, second).exit_code == 0
    assert compare(f"runs/{Path(first).name}", second).exit_code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: name[:-3], "; did you mean '{name}'?"),
        (lambda name: name.replace("conv2", "cnv2"), "; did you mean '{name}'?"),
        (lambda name: "zebra", "no run 'zebra' in"),
        (lambda name: "", "no run '' in"),
    ],
)
def test_a_run_that_is_not_there_gets_the_nearest(change: Any, said: str, probes: Any) -> None:
    first, second = names(probes, "rotnet-conv", "rotnet-nonlinear")
    done = compare(change(first), second)
    assert done.exit_code == 1
    assert said.format(name=first) in done.output
    assert "index.html lists those that there are" in done.output


def test_a_run_that_is_not_finished_says_how_it_stands_and_what_to_do(probes: Any) -> None:
    finished = probes.run("rotnet-conv").name
    probes.fail("supervised")
    assert "it failed: see " in compare(probes.run("supervised").name, finished).output
    run = probes.run("random-conv")
    run.directory.open(run.config)
    assert "it is being made. Wait for it to end." in compare(run.name, finished).output
    run.directory.close()
    assert "it was interrupted. The line that began it, typed again, goes on with it." in compare(run.name, finished).output
    (probes.run("rotnet-nonlinear").directory.path / METRICS).write_text("null")
    assert "Delete " in compare(probes.run("rotnet-nonlinear").name, finished).output
    assert not list(Path("runs").glob("compare-*"))


def test_a_history_that_is_damaged_is_named(probes: Any) -> None:
    (probes.run("rotnet-conv").directory.path / HISTORY).write_text("epoch\n1\n")
    done = compare(*names(probes, "rotnet-conv", "rotnet-nonlinear"))
    assert done.exit_code == 1
    assert HISTORY in done.output


def test_a_run_and_itself_are_not_compared(probes: Any) -> None:
    name = probes.run("rotnet-conv").name
    done = compare(name, f"runs/{name}")
    assert done.exit_code == 1
    assert f"both runs are {name}: name two that differ" in done.output


def test_a_folder_is_no_page(probes: Any) -> None:
    done = compare(*names(probes, "rotnet-conv", "rotnet-nonlinear"), "--output", "runs")
    assert done.exit_code == 1
    assert "is a folder: name the file" in done.output
