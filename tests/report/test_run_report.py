"""What a run's own report says, and its pictures."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.run_report import describe_differences, plain, run_summary, training_curves
from rotnet_lib.report.suite_plots import compare_rows, learning_curves
from rotnet_lib.runs import Metric, RunResult


def text(result: RunResult) -> str:
    return " ".join(BeautifulSoup(run_summary(result).data, "html.parser").get_text().split())


def test_the_headline_is_the_last_epoch_and_the_best_is_named_as_such(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.25, best=84.5)
    html = BeautifulSoup(run_summary(result).data, "html.parser")
    headline = html.find(class_="headline")
    assert headline is not None
    assert headline.get_text().split() == ["conv2_top1", "80.25", "%"]
    assert "84.50" not in headline.get_text()
    assert "last epoch of 3, seed 0" in text(result)
    assert "Best epoch on the test split: 84.50 % (epoch 2)." in text(result)
    assert "1000 test images of made up" in text(result)


def test_several_layers_are_all_shown(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    result.metrics["conv3_top1"] = Metric(last=70.0, best=71.0, best_epoch=1)
    shown = text(result)
    for part in ("conv2_top1 80.00", "conv3_top1 70.00", "conv3_top1 71.00 % (epoch 1)"):
        assert part in shown


def test_what_differs_from_the_protocol_stands_above_the_details(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    html = run_summary(result).data
    assert "Not the published protocol: dataset shapes (protocol: cifar10); " in text(result)
    assert "train_size 4000 (protocol: all)" in text(result)
    assert html.index("Not the published protocol") < html.index("<table")
    paper = made_up(preset="paper").finish("rotnet-conv", 90.0)
    assert "Not the published protocol" not in text(paper)


def test_where_the_figure_comes_from(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    data_and_time = ("fingerprint 0123", "12,000 inputs", "Some processor, 1 threads", "512 MiB")
    for part in (*data_and_time, "abcdef012345", "torch 2.15.0", result.run):
        assert part in text(result)


def test_differences_in_words() -> None:
    differences: dict[str, list[Any]] = {"epochs": [100, 4], "train_size": [None, 400]}
    differences |= {"lr_milestones": [[0.3, 0.6], [0.5]], "augment": [True, False]}
    assert describe_differences(differences) == [
        "epochs 4 (protocol: 100)",
        "train_size 400 (protocol: all)",
        "lr_milestones 0.5 (protocol: 0.3, 0.6)",
        "augment False (protocol: True)",
    ]
    assert plain(5e-4) == "0.0005"


# --- Pictures ---


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), float).tolist() for line in axis.get_lines() if len(line.get_ydata())]


def test_curves_show_loss_and_accuracy_of_both_splits() -> None:
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "lr": [0.1] * 3,
            "train_loss": [3.0, 2.0, 1.0],
            "train_top1": [10.0, 20.0, 30.0],
            "test_loss": [3.5, 2.5, 1.5],
            "test_top1": [15.0, 25.0, 35.0],
            "seconds": [7.0] * 3,
        }
    )
    figure = training_curves(history)
    loss, accuracy = figure.axes
    assert "loss" in loss.get_title()
    assert "accuracy" in accuracy.get_title()
    for axis, train, test in (
        (loss, [3.0, 2.0, 1.0], [3.5, 2.5, 1.5]),
        (accuracy, [10.0, 20.0, 30.0], [15.0, 25.0, 35.0]),
    ):
        assert train in lines_of(axis)
        assert test in lines_of(axis)
        assert [7.0] * 3 not in lines_of(axis)


def test_curves_of_several_layers() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [2.0, 1.0], "test_loss": [2.0, 1.0]}
        | {f"{split}_conv{n}_top1": [10.0 * n, 10.0 * n + 1] for split in ("train", "test") for n in (1, 2)}
    )
    accuracy = training_curves(history).axes[1]
    for n in (1, 2):
        assert lines_of(accuracy).count([10.0 * n, 10.0 * n + 1]) == 2


def test_rows_are_compared_as_dots(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0)
    suite.finish("supervised", 91.0, seed=1)
    [axis] = compare_rows(suite.report().rows).axes
    points = np.concatenate([np.asarray(dots.get_offsets()) for dots in axis.collections])
    assert {90.0, 91.0, 92.8, 84.7} <= set(points[:, 0].round(2))
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(labels) == 10
    on_first = points[np.abs(points[:, 1] - labels.index("Supervised NIN")) < 0.5][:, 0]
    assert sorted(on_first.round(2)) == [90.0, 91.0, 92.8]


def test_learning_curves_have_a_panel_a_run_and_a_line_a_seed(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed in (0, 1):
        suite.finish("supervised", 90.0 + seed, seed=seed)
        suite.finish("rotnet", 70.0 + seed, seed=seed)
    figure = learning_curves(suite.report().histories)
    assert figure is not None
    panels = {axis.get_title(): lines_of(axis) for axis in figure.axes}
    assert sorted(panels) == ["rotnet", "supervised"]
    assert panels["rotnet"] == [[35.0, 70.0, 70.0], [35.5, 71.0, 71.0]]


def test_a_suite_without_a_finished_run_still_has_its_pictures(made_up: Any) -> None:
    suite = made_up()
    suite.fail("rotnet")
    report = suite.report()
    assert compare_rows(report.rows).axes
    assert learning_curves(report.histories) is None


@pytest.mark.parametrize("epochs", [1, 200])
def test_curves_of_any_length(epochs: int) -> None:
    history = pd.DataFrame({"epoch": range(1, epochs + 1)} | dict.fromkeys(("train_loss", "test_loss", "test_top1"), 1.0))
    assert len(training_curves(history).axes) == 2
