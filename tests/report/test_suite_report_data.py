"""What a report says of data that stands in for the suite's, and of rows that nobody published."""

from typing import Any

import pytest

from rotnet_lib.report.published import published_table
from tests.report.pages import cells, text

OWN = "RotNet, pretext task on Places205"
ON_IMAGENET = "supervised, rotnet"
LAYERS = [f"conv{n}" for n in range(1, 6)]


@pytest.fixture
def table6(made_up: Any) -> Any:
    """Makes a plan of table 6, which measures on two sets of data that need not be here: `table6(preset="paper")`."""

    def make(**options: Any) -> Any:
        return made_up("table6", fingerprint=lambda config: config.dataset, **options)

    return make


# --- Data ---


def test_each_run_is_held_against_the_data_that_the_suite_has_it_on(table6: Any) -> None:
    suite = table6(preset="paper")
    suite.finish_all(title=None)
    assert {run.dataset for run in suite.report().runs} == {"imagenet", "places205"}
    assert suite.report().differences == []
    assert suite.report().comparable
    assert "No parameter differs from the protocol." in text(suite.report())


def test_what_stands_in_for_each_data_is_told_with_its_runs(table6: Any) -> None:
    suite = table6(preset="quick")
    suite.finish_all()
    found = [entry for entry in suite.report().differences if entry["name"] in ("dataset", "data")]
    on_places = ", ".join(key for key in suite.plan.suite.runs if key not in ("supervised", "rotnet"))
    assert found == [
        {"name": "dataset", "protocol": "imagenet", "here": "shapes", "runs": ON_IMAGENET},
        {"name": "dataset", "protocol": "places205", "here": "shapes:1", "runs": on_places},
    ]
    assert not suite.report().comparable


def test_the_place_of_one_data_may_be_taken_and_the_others_not(table6: Any) -> None:
    suite = table6(preset="paper", dataset="tiny-imagenet")
    for run in suite.plan.runs:
        suite.finish(run.key, 50.0, title=None if run.dataset == "places205" else "Tiny ImageNet")
    [difference] = suite.report().differences
    assert difference == {"name": "dataset", "protocol": "imagenet", "here": "tiny-imagenet", "runs": ON_IMAGENET}


def test_a_part_of_the_data_is_not_the_data(table6: Any) -> None:
    suite = table6(preset="paper")
    for run in suite.plan.runs:
        suite.finish(run.key, 50.0, title=None if run.dataset == "places205" else "ImageNet (part)")
    [difference] = suite.report().differences
    assert difference == {"name": "data", "protocol": "ImageNet", "here": "ImageNet (part)", "runs": ON_IMAGENET}


def test_data_put_in_by_an_override_is_told_once(made_up: Any) -> None:
    suite = made_up(preset="paper", set="probe.dataset=shapes")
    for run in suite.plan.runs:
        suite.finish(run.key, 50.0, title="CIFAR-10" if run.config.dataset == "cifar10" else "drawn shapes")
    probes = "random-conv, rotnet-nonlinear, rotnet-conv"
    assert suite.report().differences == [{"name": "dataset", "protocol": "cifar10", "here": "shapes", "runs": probes}]


# --- A row of the suite's own ---


def test_a_row_that_nobody_published_comes_behind_those_that_are(table6: Any) -> None:
    suite = table6(preset="paper")
    suite.finish("places-rotnet-places", 40.0, title=None)
    report = suite.report()
    assert [row.label for row in report.rows] == [*published_table("table6"), OWN]
    own = report.rows[-1]
    assert list(own.cells) == LAYERS
    assert {(cell.mean, cell.published, cell.difference) for cell in own.cells.values()} == {(40.0, None, None)}
    assert cells(report)[OWN] == {"Top-1 accuracy (%)": OWN} | dict.fromkeys(LAYERS, "40.00")


def test_it_takes_no_part_in_the_published_order(table6: Any) -> None:
    suite = table6(preset="paper")
    suite.finish("places-rotnet", {f"{layer}_top1": 20.0 + n for n, layer in enumerate(LAYERS)}, title=None)
    alone = suite.report().observations
    suite.finish("places-random", {f"{layer}_top1": 10.0 + n for n, layer in enumerate(LAYERS)}, title=None)
    suite.finish("places-supervised", {f"{layer}_top1": 30.0 + n for n, layer in enumerate(LAYERS)}, title=None)
    order = suite.report().observations.partition("Order")[2]
    assert "(3 rows): conv1 1.00, conv2 1.00" in order
    assert not alone.partition("Order")[2]
    suite.finish("places-rotnet-places", 90.0, title=None)
    assert suite.report().observations.partition("Order")[2] == order
    assert f"{OWN} is highest in 5" in suite.report().observations


def test_before_it_is_measured_it_is_missing_and_not_another_methods(table6: Any) -> None:
    suite = table6(preset="paper")
    suite.finish("places-rotnet", 40.0, title=None)
    assert cells(suite.report())[OWN]["conv3"] == "missing"
    assert cells(suite.report())["BIGAN (Donahue et al., 2016)"]["conv3"] == "31.8"


# --- Validation ---


def test_a_table_of_held_out_training_images_says_so(made_up: Any) -> None:
    suite = made_up(preset="paper", set="validate=0.1")
    suite.finish_all(title="CIFAR-10 (validation split)")
    report = suite.report()
    assert [(entry["name"], entry["protocol"], entry["here"]) for entry in report.differences] == [("validate", "none", "0.1")]
    assert not report.comparable
    for part in (
        "accuracy on held-out training images, at the last epoch",
        "1,000 held-out training images of 32 pixels, fingerprint",
    ):
        assert part in text(report)
    assert "test split" not in text(report)
