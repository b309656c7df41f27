"""Standard errors on the pages: of a run, of a suite, of a collection; and what is said of results without them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.overview import write_overview
from rotnet_lib.report.run_report import run_summary
from rotnet_lib.runs.metrics import Metric
from rotnet_lib.runs.schema import MetricValue, RunResult
from tests.report.pages import cells, text


def of_run(result: RunResult) -> str:
    return " ".join(BeautifulSoup(run_summary(result).data, "html.parser").get_text().split())


# --- A run's page ---


def test_a_run_shows_the_error_of_its_accuracy_and_of_how_many_images_it_is(made_up: Any) -> None:
    shown = of_run(made_up().finish("rotnet-conv", 78.3, images=1000))
    assert "seed 0. Standard error 1.30 points: √(p(1 − p)/N) of N = 1,000 images, without the spread over seeds" in shown


def test_each_layer_has_its_own(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 50.0, images=10_000)
    result.metrics["conv3_top1"] = MetricValue(last=90.0, images=10_000)
    result.metrics["psnr"] = MetricValue(last=21.0, unit="dB")
    shown = of_run(result)
    assert "Standard errors conv2 0.50, conv3 0.30 points: √(p(1 − p)/N) of N = 10,000 images, without" in shown


def test_of_two_metrics_the_one_with_an_error_is_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 50.0, images=10_000)
    result.metrics["psnr"] = MetricValue(last=21.0, unit="dB")
    assert "Standard error conv2 0.50 points: √(p(1 − p)/N) of N = 10,000 images, without" in of_run(result)


@pytest.mark.parametrize(("like", "images"), [(None, None), (Metric(unit="dB"), 1000)], ids=["from-before", "no-share"])
def test_a_run_without_images_has_none(like: Metric | None, images: int | None, made_up: Any) -> None:
    assert "tandard error" not in of_run(made_up().finish("rotnet-conv", 21.0, like=like, images=images))


# --- A suite's page ---


def test_a_flat_table_has_a_column_of_errors(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0, images=900)
    suite.finish("rotnet-conv", 89.5, images=900)
    suite.finish("random-conv", 50.0, images=900)
    report = suite.report()
    lines = cells(report)
    assert (lines["Supervised NIN"]["measured"], lines["Supervised NIN"]["standard error"]) == ("90.00", "1.00")
    assert lines["DCGAN (Radford et al., 2015)"]["standard error"] == ""
    assert (
        "Standard error, in points: √(p(1 − p)/N) of N = 900 images, without the spread over seeds, which one seed does not "
        "show. Figures are said to be within the sampling error of each other if they differ by at most two standard errors "
        "of the difference, the images of both taken as independent: compared image by image they might still be told apart."
    ) in text(report)
    assert report.verdict == (
        "RotNet + conv reaches 89.5 %, 0.5 points below Supervised NIN (90.0; within the sampling error) and 39.5 points above "
        "Random Init. + conv (50.0). Highest Supervised NIN (90.0), lowest Random Init. + conv (50.0); RotNet + conv (89.5) is "
        "within the sampling error of the highest. 3 of 6 figures are measured. Other seeds may differ. "
        "Order against the published figures, Kendall's tau (3 rows): 1.00; 1 of 3 pairs are within the sampling error."
    )


def test_the_error_of_a_mean_has_the_seeds_in_it(made_up: Any) -> None:
    suite = made_up(seeds=3)
    for seed, last in enumerate((88.0, 90.0, 92.0)):
        suite.finish("supervised", last, seed=seed, images=900)
    suite.finish("rotnet-conv", 50.0, images=900)
    report = suite.report()
    line = cells(report)["Supervised NIN"]
    assert (line["measured"], line["standard error"]) == ("90.00 ± 2.00", "1.53")  # sqrt(4/3 + 1)
    assert (
        "Standard error, in points: √(std²/n + p(1 − p)/N) of n seeds and N = 900 images; where n is 1, √(p(1 − p)/N), the "
        "sampling error, without the spread over seeds, which one seed does not show. Figures are said to be within the error"
    ) in text(report)


def test_a_table_by_layer_says_how_large_they_are_below(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 50.0, "conv2_top1": 90.0, "conv3_top1": 60.0}, images=900)
    report = suite.report()
    assert cells(report)["RotNet with 3 conv. blocks"]["conv2"] == "90.00"
    assert "Standard error: 1.00 to 1.67 points, √(p(1 − p)/N) of N = 900 images, without the spread" in text(report)


def test_a_class_has_the_error_of_its_own_images(made_up: Any) -> None:
    suite = made_up("table9")
    suite.finish("supervised", 75.0, by_target={"cat": 50.0, "ship": 90.0}, images=1000)
    report = suite.report()
    assert "Standard error: 3.00 to 5.00 points, √(p(1 − p)/N) of N = 100 images," in text(report)
    assert report.table.set_index(["row", "column"]).loc[("Supervised", "cat"), "images"] == 100


def test_a_figure_part_way_has_its_error(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 90.0, course=[50.0] * 9 + [90.0], images=900)
    [rotation, _] = suite.report().rows
    assert [cell.error_text for cell in rotation.cells.values()] == ["1.67"] * 4 + ["1.00"]


def test_the_table_as_data_has_both_errors(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed, last in enumerate((88.0, 92.0)):
        suite.finish("supervised", last, seed=seed, images=900)
    suite.finish("rotnet-conv", 60.0)
    report = suite.report()
    report.save()
    table = pd.read_csv(report.path.parent / "table.csv").set_index("row")
    errors = table[["images", "sampling_error", "standard_error"]].T.to_dict("list")
    assert errors["Supervised NIN"] == pytest.approx([900, 1.0, 5**0.5])
    assert pd.isna(errors["RotNet + conv"]).all()


def test_results_from_before_are_judged_as_before(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0)
    suite.finish("rotnet-conv", 89.5)
    report = suite.report()
    assert "standard error" not in cells(report)["Supervised NIN"]
    assert "tandard error" not in text(report)
    assert "within" not in report.verdict


def test_beside_new_results_those_from_before_have_no_known_error(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0, images=900)
    said = "Of accuracies without one it is not known: their results do not say N."
    assert said not in text(suite.report())
    suite.finish("rotnet-conv", 89.5)
    assert said in text(suite.report())


def test_other_seeds_may_differ_is_said_once_where_the_verdict_is(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 50.0, "conv2_top1": 90.0, "conv3_top1": 60.0}, images=900)
    suite.finish("probe4", 70.0, images=900)
    assert suite.report().verdict.count("Other seeds may differ.") == suite.report().verdict.count("seeds") == 1
    several = made_up(seeds=2)
    for key, last in (("supervised", 90.0), ("rotnet-conv", 80.0)):
        for seed in range(2):
            several.finish(key, last + seed, seed=seed, images=900)
    assert "seeds" not in several.report().verdict


@pytest.mark.parametrize(("counts", "images"), [((900, 800), 800), ((900, None), None)], ids=["damaged", "from-before"])
def test_seeds_of_several_numbers_of_images_have_the_fewest(counts: Any, images: int | None, made_up: Any) -> None:
    """One of them may be a result from before, or one that could not read an image."""
    suite = made_up(seeds=2)
    for seed, count in enumerate(counts):
        suite.finish("supervised", 90.0, seed=seed, images=count)
    [row] = [row for row in suite.report().rows if row.label == "Supervised NIN"]
    assert row.cells["top1"].images == images


# --- A collection's ---


def test_one_seed_matches_within_two_sampling_errors(made_up: Any) -> None:
    suite = made_up(preset="paper")
    suite.finish("supervised", 92.0, title="CIFAR-10", images=10_000)  # published: 92.8; two errors are 0.54
    suite.finish("rotnet-conv", 91.0, title="CIFAR-10", images=10_000)  # published: 91.16; two errors are 0.57
    path = write_overview(Path("runs/all").absolute(), "All", [suite.directory.absolute()])
    page = BeautifulSoup(path.read_text(), "html.parser")
    for padding in page.select(".pad"):  # space that is not read
        padding.extract()
    lines = {line[0]: line[1:] for line in ([c.get_text() for c in row.select("th, td")] for row in page.select("tbody tr"))}
    assert lines["Supervised NIN"] == ["92.8", "92.00", "0.27", "1", "below (one seed)"]
    assert lines["RotNet + conv"] == ["91.16", "91.00", "0.29", "1", "match (one seed)"]
    assert "The sampling error of the published figure is left out." in page.get_text()
