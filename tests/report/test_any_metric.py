"""A suite's page and pictures of metrics that are no percentages: their units, which direction is better, whose images."""

from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.headings import Headings
from rotnet_lib.report.history_plots import learning_curves
from rotnet_lib.report.index import write_index
from rotnet_lib.report.overview import write_overview
from rotnet_lib.report.suite_plots import picture
from rotnet_lib.runs.metrics import Metric
from tests.report.pages import cells, page, text

ERROR, PSNR, NMI = Metric(unit="", better="lower"), Metric(unit="dB"), Metric(unit="")
PURITY = Metric(tested=False)
MEASURING = ("supervised", "random-conv", "rotnet-nonlinear", "rotnet-conv", "finetuned-nonlinear", "finetuned-conv")


def finish_like(suite: Any, metric: Metric, figures: tuple[float, ...]) -> None:
    """Finish the six rows of table 3 with figures of that kind."""
    for key, figure in zip(MEASURING, figures, strict=True):
        for seed in sorted({run.config.seed for run in suite.plan.runs}):
            suite.finish(key, figure * (1 + 0.1 * seed), seed=seed, like=metric)


def headings(report: Any) -> list[str]:
    return [cell.get_text() for cell in page(report).select("table")[0].select("th")]


def test_an_error_is_read_from_the_lowest_up(made_up: Any) -> None:
    suite = made_up(seeds=2)
    finish_like(suite, ERROR, (0.01, 0.02, 0.03, 0.04, 0.05, 0.06))
    report = suite.report()
    assert headings(report)[0] == "top1 (lower is better)"
    assert cells(report)["Supervised NIN"] == {
        "top1 (lower is better)": "Supervised NIN",
        "published": "92.8",
        "measured": "0.0105 ± 0.0007",
    }
    [supervised, *_] = report.rows
    assert supervised.cells["top1"].difference_text == "-92.7895"
    assert "Lowest, which is best, Supervised NIN (0.0105), highest RotNet" in report.verdict
    assert "Measured: figures on the test split, at the last epoch; mean ± standard deviation" in text(report)
    figure = picture(report)
    assert figure is not None
    assert [axis.get_xlabel() for axis in figure.figure.axes] == ["top1 (lower is better)"]


@pytest.mark.parametrize(("metric", "heading", "axis"), [(PSNR, "top1 (dB)", "top1 (dB)"), (NMI, "top1", "top1")])
def test_a_unit_stands_over_the_table_and_on_the_axis(metric: Metric, heading: str, axis: str, made_up: Any) -> None:
    suite = made_up()
    finish_like(suite, metric, (21.0, 22.0, 23.0, 24.0, 25.0, 26.0))
    report = suite.report()
    assert headings(report)[0] == heading
    figure = picture(report)
    assert figure is not None
    assert [found.get_xlabel() for found in figure.figure.axes] == [axis]


def test_a_metric_without_meaning_on_the_test_split_says_whose_images_it_is_of(made_up: Any) -> None:
    suite = made_up()
    finish_like(suite, PURITY, (21.0, 22.0, 23.0, 24.0, 25.0, 26.0))
    report = suite.report()
    assert "Measured: accuracy on the training images (these figures have no meaning on others), at the last epoch" in text(
        report
    )
    assert "best epoch" not in cells(report)["Supervised NIN"]
    assert report.histories.empty


def test_figures_of_several_units_say_their_own_and_are_compared_apart(made_up: Any) -> None:
    suite = made_up()
    for key, last in (("supervised", 90.0), ("random-conv", 70.0)):
        suite.finish(key, last)
    for key, last in (("rotnet-conv", 0.2), ("rotnet-nonlinear", 0.1)):
        suite.finish(key, last, like=ERROR)
    suite.finish("finetuned-conv", 33.0, like=PURITY)
    report = suite.report()
    lines = cells(report)
    assert headings(report)[0] == "top1"
    assert lines["Supervised NIN"]["measured"] == "90.00 percent"
    assert lines["RotNet + conv"]["measured"] == "0.200 lower is better"
    assert lines["RotNet + conv (fine-tuned)"]["measured"] == "33.00 percent train"
    assert "percent: highest Supervised NIN (90.0), lowest RotNet + conv (fine-tuned) (33.0)" in report.verdict
    assert (
        "lower is better: lowest, which is best, RotNet + non-linear (0.100), highest RotNet + conv (0.200)" in report.verdict
    )
    assert "Figures marked “train” are of the training images: they have no meaning on others." in text(report)
    figure = picture(report)
    assert figure is not None
    assert [axis.get_xlabel() for axis in figure.figure.axes] == ["top-1 accuracy (%)", "top1 (lower is better)"]
    assert list(report.table["unit"][report.table["measured"].notna()]) == ["%", "%", "", "", "%"]


def test_columns_of_several_units_have_them_in_their_headings() -> None:
    row = Row("A", {"x": Cell(None, [20.0], states=["finished"], unit="dB"), "y": Cell(None, [50.0], states=["finished"])})
    over = Headings([row], {"x": "pixels", "y": "classes"}, "figure", None, "the test split")
    assert (over.corner, over.columns) == ("figure", {"x": "pixels (dB)", "y": "classes (%)"})
    alike = Row("A", dict.fromkeys("xy", row.cells["x"]))
    over = Headings([alike], {"x": "1", "y": "2"}, "psnr", None, "the test split")
    assert (over.corner, over.columns) == ("psnr (dB)", {"x": "1", "y": "2"})


def test_curves_of_other_units_have_an_axis_of_their_own(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 1.0, course=[0.1 * n for n in range(1, 11)], like=ERROR)
    suite.finish("probe-0.2", 50.0)
    suite.finish("probe-all", 70.0)
    figure = picture(suite.report())
    assert figure is not None
    assert sorted(axis.get_ylabel() for axis in figure.figure.axes) == ["top-1 accuracy (%)", "top1 (lower is better)"]
    assert {axis.get_xlabel() for axis in figure.figure.axes} == {"pretext epochs"}
    learning = learning_curves(suite.report())
    assert learning is not None
    assert {axis.get_ylabel() for axis in learning.figure.axes} >= {"rotation_top1 (lower is better)", "accuracy (%)"}


def test_a_figure_on_the_way_of_a_metric_that_is_not_tested_is_of_the_training_images(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 10.0, course=[1.0 * n for n in range(1, 11)], like=PURITY)
    row = next(row for row in suite.report().rows if row.label.startswith("Rotation"))
    assert [cell.mean for cell in row.cells.values()] == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_what_is_not_measured_yet_has_the_unit_that_its_task_declares(made_up: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = made_up("inspect")
    monkeypatch.setattr(Rotation, "metrics", {"rotation_top1": PSNR})
    report = suite.report()
    report.suite["rows"] = [row | {"by_target": False} for row in report.suite["rows"]]
    assert headings(report)[0].endswith(" (dB)")


def test_index_and_overview_show_units(made_up: Any) -> None:
    suite = made_up()
    finish_like(suite, PSNR, (21.0, 22.0, 23.0, 24.0, 25.0, 26.0))
    index = BeautifulSoup(write_index(Path("runs")).read_text(), "html.parser").get_text()
    assert "Top-1 accuracy 21.00\xa0dB" in index
    path = write_overview(Path("runs/all").absolute(), "All", [suite.directory.absolute()])
    overview = BeautifulSoup(path.read_text(), "html.parser")
    assert overview.select("thead th")[0].get_text() == "figure (dB)"
