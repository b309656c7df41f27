"""What a run's own report says, and its pictures."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.run_report import describe_differences, loss_curves, plain, run_summary, target_bars, training_curves
from rotnet_lib.runs.schema import MetricValue, RunResult

ACCURACY = MetricValue(last=50.0)


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
    result.metrics["conv3_top1"] = MetricValue(last=70.0, best=71.0, best_epoch=1)
    shown = text(result)
    for part in ("conv2_top1 80.00", "conv3_top1 70.00", "conv3_top1 71.00 % (epoch 1)"):
        assert part in shown


def test_files_that_were_left_out_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "unreadable" not in text(result)
    result.data.damaged = ["train/a/1.jpg"]
    assert "1 unreadable file: train/a/1.jpg" in text(result)
    result.data.damaged = [f"train/a/{number}.jpg" for number in range(30)]
    assert "30 unreadable files: train/a/0.jpg" in text(result)


def test_files_that_were_not_read_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "not read" not in text(result)
    result.data.skipped = [".heic files: 3, such as train/cat/a.heic", "FIFOs: 1, such as train/b/c.png"]
    assert "not read.heic files: 3, such as train/cat/a.heic; FIFOs: 1, such as train/b/c.png" in text(result)


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
    data_and_time = (f"fingerprint {result.data.fingerprint}", "12,000 inputs", "Some processor, 1 thread, peak", "512 MiB")
    for part in (*data_and_time, "abcdef012345", "torch 2.15.0", result.run):
        assert part in text(result)


def test_several_processes_are_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0)
    assert "processes" not in text(result)
    result.environment.processes = 2
    assert "Some processor, 2 processes of 1 thread," in text(result)


def test_a_run_that_trains_nothing_names_no_epochs_and_no_training(made_up: Any) -> None:
    shown = text(made_up("inspect").finish("inspect", 70.0, trained=False))
    assert "rotation_top1 70.00 %" in shown
    assert "nothing is trained here" in shown
    for word in ("last epoch", "inputs", "parameters trained"):
        assert word not in shown


def test_differences_in_words() -> None:
    differences: dict[str, list[Any]] = {"epochs": [100, 4], "train_size": [None, 400]}
    differences |= {"lr_decay": [[0.1, 0.1, 10.0], 0.2]}
    differences |= {"lr_milestones": [[0.3, 0.6], [0.5]], "augment": ["pad-crop", "none"], "image_size": [None, 64]}
    assert describe_differences(differences) == [
        "epochs 4 (protocol: 100)",
        "train_size 400 (protocol: all)",
        "lr_decay 0.2 (protocol: 0.1, 0.1, 10)",
        "lr_milestones 0.5 (protocol: 0.3, 0.6)",
        "augment none (protocol: pad-crop)",
        "image_size 64 (protocol: the data's own)",
    ]
    assert plain(5e-4) == "0.0005"
    assert plain([]) == "none"


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
    figure = training_curves(history, {"top1": ACCURACY})
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
    accuracy = training_curves(history, dict.fromkeys(("conv1_top1", "conv2_top1"), ACCURACY)).axes[1]
    for n in (1, 2):
        assert lines_of(accuracy).count([10.0 * n, 10.0 * n + 1]) == 2


def test_the_terms_of_a_loss_have_a_panel_and_a_scale_each() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [9.0, 235.0], "train_loss_c": [1.4, 1.3], "train_loss_n": [8.0, 234.0]}
        | {"test_loss": [1.2, 1.1], "train_rotation_top1": [30.0, 40.0], "test_rotation_top1": [35.0, 45.0]}
    )
    panels = {axis.get_title(): axis for axis in training_curves(history, {"rotation_top1": ACCURACY}).axes}
    shown = {title: lines_of(axis) for title, axis in panels.items()}
    assert list(shown) == ["loss (train)", "loss_c", "loss_n", "loss (test)", "accuracy (%)"]
    for title, values in {"loss (train)": [9.0, 235.0], "loss_c": [1.4, 1.3], "loss (test)": [1.2, 1.1]}.items():
        assert [line for line in shown[title] if line] == [values]
    assert [30.0, 40.0] in shown["accuracy (%)"]
    assert panels["loss_c"].get_ylim()[1] < 2


def bars_of(axis: Any) -> list[float]:
    return [float(bar.get_height()) for bar in axis.patches if bar.get_height() > 0]


def test_bars_are_the_accuracies_by_right_answer(made_up: Any) -> None:
    result = made_up().finish("rotnet", 75.0, by_target={"0 degrees": 90.0, "90 degrees": 60.0})
    figure = target_bars(result)
    assert figure is not None
    [axis] = figure.axes
    assert bars_of(axis) == [90.0, 60.0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0 degrees", "90 degrees"]


def test_bars_of_several_metrics_stand_side_by_side_and_are_named(made_up: Any) -> None:
    result = made_up("table1").finish("probe3", 50.0, by_target={"cat": 60.0, "ship": 40.0})
    figure = target_bars(result)
    assert figure is not None
    assert sorted(bars_of(figure.axes[0])) == [40.0] * 3 + [60.0] * 3
    [legend] = figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["conv1_top1", "conv2_top1", "conv3_top1"]


@pytest.mark.parametrize("epochs", [1, 200])
def test_curves_of_any_length(epochs: int) -> None:
    history = pd.DataFrame({"epoch": range(1, epochs + 1)} | dict.fromkeys(("train_loss", "test_loss", "test_top1"), 1.0))
    assert len(training_curves(history, {"top1": ACCURACY}).axes) == 2


@pytest.mark.parametrize(
    ("terms", "drawn"), [(["loss"], ["loss"]), (["loss", "pixels"], ["pixels"]), (["loss", "a", "b"], ["loss", "a", "b"])]
)
def test_a_loss_of_one_term_is_drawn_once(terms: list[str], drawn: list[str]) -> None:
    history = pd.DataFrame({"iteration": [1, 2], "lr": [0.1, 0.1], **{f"train_{name}": [2.0, 1.0] for name in terms}})
    axis = loss_curves(history).axes[0]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == drawn
    assert len(axis.get_lines()) == len(drawn)


def test_figures_of_held_out_training_images_say_so(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.25, best=84.5)
    result.data.validation = True
    result.protocol_differences = {"validate": [None, 0.1]}
    assert "1000 held-out training images of made up" in text(result)
    assert "Best epoch on held-out training images: 84.50 % (epoch 2)." in text(result)
    assert "validate 0.1 (protocol: none)" in text(result)
    assert "test split" not in text(result)


def test_curves_of_held_out_training_images_are_named_so() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [1.0, 0.5], "test_loss": [1.0, 0.6], "train_top1": [1, 2], "test_top1": [1, 2]}
    )
    [legend] = training_curves(history, {"top1": ACCURACY}, validation=True).legends
    assert [text.get_text() for text in legend.get_texts()] == ["train", "held out"]


# --- Metrics of any kind ---

ERROR = MetricValue(last=0.0123, best=0.0119, best_epoch=2, unit="", better="lower")
PSNR = MetricValue(last=21.5, best=21.75, best_epoch=3, unit="dB", chance=8.0)
PURITY = MetricValue(last=34.25, tested=False)


def with_metrics(made_up: Any, **metrics: MetricValue) -> RunResult:
    result: RunResult = made_up().finish("rotnet", 80.0)
    return result.model_copy(update={"metrics": metrics})


def test_the_headline_of_other_metrics_has_their_units_and_the_direction(made_up: Any) -> None:
    shown = text(with_metrics(made_up, mse=ERROR, psnr=PSNR))
    assert "mse 0.0123 (lower is better) psnr 21.50 dB on 1000 test images" in shown
    assert "Best epoch on the test split: mse 0.0119 (epoch 2), psnr 21.75 dB (epoch 3). Guessing gives psnr 8.00 dB." in shown


def test_what_guessing_gives_is_said_where_it_is_known(made_up: Any) -> None:
    assert "Guessing" not in text(with_metrics(made_up, top1=ACCURACY))
    assert "Guessing gives 25.00 %." in text(with_metrics(made_up, top1=MetricValue(last=80.0, chance=25.0)))


def test_a_metric_without_meaning_on_the_test_split_says_so(made_up: Any) -> None:
    shown = text(with_metrics(made_up, purity=PURITY))
    assert "purity 34.25 % on 4000 training images (the test split tells nothing of purity) of made up" in shown
    assert "Best epoch" not in shown
    both = text(with_metrics(made_up, mse=ERROR, purity=PURITY))
    assert "on 1000 test images (purity: on 4000 training images, for the test split tells nothing of it)" in both
    assert "Best epoch on the test split: mse 0.0119 (epoch 2)." in both.replace(" .", ".")


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
    panels = {axis.get_title(): lines_of(axis) for axis in training_curves(history, names).axes}
    assert list(panels) == ["loss", "accuracy (%)", "mse (lower is better)", "psnr, ssim_db (dB)", "nmi"]
    assert sorted(line for line in panels["accuracy (%)"] if line) == [[10.0, 11.0], [10.0, 12.0], [20.0, 21.0]]
    assert sorted(panels["mse (lower is better)"]) == [[10.0, 13.0], [20.0, 23.0]]


def test_a_task_without_answers_to_choose_from_has_no_bars(made_up: Any) -> None:
    assert target_bars(made_up().finish("rotnet", 75.0, by_target={})) is None
