"""Pictures of a run's training: its curves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.run_plots import loss_curves, training_curves
from rotnet_lib.runs.schema import MetricValue

ACCURACY = MetricValue(last=50.0)
ERROR = MetricValue(last=0.0123, best=0.0119, best_epoch=2, unit="", better="lower")
PSNR = MetricValue(last=21.5, best=21.75, best_epoch=3, unit="dB", chance=8.0)
PURITY = MetricValue(last=34.25, tested=False)


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
    figure = training_curves(history, {"top1": ACCURACY})
    loss, accuracy = figure.figure.axes
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
    accuracy = training_curves(history, dict.fromkeys(("conv1_top1", "conv2_top1"), ACCURACY)).figure.axes[1]
    for n in (1, 2):
        assert lines_of(accuracy).count([10.0 * n, 10.0 * n + 1]) == 2


def test_the_terms_of_a_loss_have_a_panel_and_a_scale_each() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [9.0, 235.0], "train_loss_c": [1.4, 1.3], "train_loss_n": [8.0, 234.0]}
        | {"test_loss": [1.2, 1.1], "train_rotation_top1": [30.0, 40.0], "test_rotation_top1": [35.0, 45.0]}
    )
    panels = {axis.get_title(): axis for axis in training_curves(history, {"rotation_top1": ACCURACY}).figure.axes}
    shown = {title: lines_of(axis) for title, axis in panels.items()}
    assert list(shown) == ["loss (train)", "loss_c", "loss_n", "loss (test)", "accuracy (%)"]
    for title, values in {"loss (train)": [9.0, 235.0], "loss_c": [1.4, 1.3], "loss (test)": [1.2, 1.1]}.items():
        assert [line for line in shown[title] if line] == [values]
    assert [30.0, 40.0] in shown["accuracy (%)"]
    assert panels["loss_c"].get_ylim()[1] < 2


@pytest.mark.parametrize("epochs", [1, 200])
def test_curves_of_any_length(epochs: int) -> None:
    history = pd.DataFrame({"epoch": range(1, epochs + 1)} | dict.fromkeys(("train_loss", "test_loss", "test_top1"), 1.0))
    assert len(training_curves(history, {"top1": ACCURACY}).figure.axes) == 2


@pytest.mark.parametrize(
    ("terms", "drawn"), [(["loss"], ["loss"]), (["loss", "pixels"], ["pixels"]), (["loss", "a", "b"], ["loss", "a", "b"])]
)
def test_a_loss_of_one_term_is_drawn_once(terms: list[str], drawn: list[str]) -> None:
    history = pd.DataFrame({"iteration": [1, 2], "lr": [0.1, 0.1], **{f"train_{name}": [2.0, 1.0] for name in terms}})
    axis = loss_curves(history).figure.axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == drawn
    assert len(axis.get_lines()) == len(drawn)


def test_curves_of_held_out_training_images_are_named_so() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [1.0, 0.5], "test_loss": [1.0, 0.6], "train_top1": [1, 2], "test_top1": [1, 2]}
    )
    [legend] = training_curves(history, {"top1": ACCURACY}, validation=True).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["train", "held out"]


def test_curves_have_a_panel_a_unit() -> None:
    names = {
        "top1": ACCURACY,
        "purity": PURITY,
        "mse": ERROR,
        "psnr": PSNR,
        "ssim_db": PSNR,
        "nmi": MetricValue(last=0.5, unit=""),
    }
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [2.0, 1.0], "test_loss": [2.5, 1.5]}
        | {f"train_{name}": [10.0, 11.0 + n] for n, name in enumerate(names)}
        | {f"test_{name}": [20.0, 21.0 + n] for n, (name, metric) in enumerate(names.items()) if metric.tested}
    )
    panels = {axis.get_title(): lines_of(axis) for axis in training_curves(history, names).figure.axes}
    assert list(panels) == ["loss", "accuracy (%)", "mse (lower is better)", "psnr, ssim_db (dB)", "nmi"]
    assert sorted(line for line in panels["accuracy (%)"] if line) == [[10.0, 11.0], [10.0, 12.0], [20.0, 21.0]]
    assert sorted(panels["mse (lower is better)"]) == [[10.0, 13.0], [20.0, 23.0]]
    alone = training_curves(history, {"purity": PURITY})
    assert "purity (%)" in [axis.get_title() for axis in alone.figure.axes]  # a share of other things than right answers


def legend_of(figure: ReportFigure) -> list[str]:
    return [entry.get_text() for legend in figure.figure.legends for entry in legend.get_texts()]


def test_curves_of_several_metrics_are_named_once_and_the_splits_too() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [2.0, 1.0], "test_loss": [2.0, 1.0]}
        | {f"{split}_conv{n}_top1": [10.0 * n, 10.0 * n + 1] for split in ("train", "test") for n in (1, 2)}
    )
    figure = training_curves(history, dict.fromkeys(("conv1_top1", "conv2_top1"), MetricValue(last=50.0, chance=10.0)))
    assert legend_of(figure) == ["train", "test", "conv1", "conv2", "chance"]
    assert "conv2_top1 (test) from 20.00 to 21.00" in figure.description
    accuracy = figure.figure.axes[1]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in accuracy.get_lines()}
    assert len(looks) == 5
