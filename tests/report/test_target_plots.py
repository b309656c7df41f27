"""Accuracy by right answer: bars, and heatmaps of several layers."""

from typing import Any

import pytest

from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.target_plots import target_figure
from rotnet_lib.runs.metrics import Metric


def bars_of(axis: Any) -> list[float]:
    return [float(bar.get_height()) for bar in axis.patches if bar.get_height() > 0]


def test_bars_are_the_accuracies_by_right_answer(made_up: Any) -> None:
    result = made_up().finish("rotnet", 75.0, by_target={"0 degrees": 90.0, "90 degrees": 60.0})
    figure = target_figure(result)
    assert figure is not None
    [axis] = figure.figure.axes
    assert bars_of(axis) == [90.0, 60.0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0 degrees", "90 degrees"]


def test_bars_of_two_metrics_stand_side_by_side_and_are_named(made_up: Any) -> None:
    result = made_up("table1").finish("probe3", 50.0, by_target={"cat": 60.0, "ship": 40.0})
    del result.by_target["conv3_top1"]
    figure = target_figure(result)
    assert figure is not None
    assert sorted(bars_of(figure.figure.axes[0])) == [40.0] * 2 + [60.0] * 2
    [legend] = figure.figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["conv1", "conv2"]


def test_three_layers_are_a_heatmap_of_answers_by_layers_below_the_figures_over_all(made_up: Any) -> None:
    by_target = {"cat": 60.0, "ship": 40.0}
    result = made_up("table1").finish("probe3", 50.0, by_target=by_target, images=1000, like=Metric(chance=10.0))
    result.by_target["conv2_top1"] = {"cat": 70.5, "ship": 41.0}
    figure = target_figure(result)
    assert figure is not None
    [axis] = figure.figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["conv1", "conv2", "conv3"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["all together", "cat", "ship"]
    shown = [text.get_text() for text in axis.texts]
    assert shown == ["50.0", "50.0", "50.0", "60.0", "70.5", "60.0", "40.0", "41.0", "40.0"]
    assert "Chance: 10.00 %." in figure.caption
    assert "Standard errors (of the images) of an answer's figures: 4.6 to 4.9 points." in figure.caption
    assert "conv2_top1: cat 70.50 %, ship 41.00 %." in figure.description


def test_a_task_without_answers_to_choose_from_has_no_bars(made_up: Any) -> None:
    assert target_figure(made_up().finish("rotnet", 75.0, by_target={})) is None


def legend_of(figure: ReportFigure) -> list[str]:
    return [entry.get_text() for legend in figure.figure.legends for entry in legend.get_texts()]


def errors_of(axis: Any) -> list[list[float]]:
    """Both ends of every error bar."""
    return [segment[:, 1].tolist() for lines in axis.collections for segment in lines.get_segments()]


def test_bars_by_answer_have_errors_guessing_and_the_accuracy_over_all(made_up: Any) -> None:
    """Of a tenth of 1000 images 80 % has an error of 4 points."""
    result = made_up().finish("rotnet", 70.0, by_target={"cat": 80.0, "dog": 60.0}, images=1000, like=Metric(chance=25.0))
    figure = target_figure(result)
    assert figure is not None
    [axis] = figure.figure.axes
    assert errors_of(axis)[0] == pytest.approx([76.0, 84.0])
    assert legend_of(figure) == ["all together: 70.00 %", "chance: 25.00 %"]
    assert axis.get_ylim()[1] > 100
    assert "one standard error" in figure.caption
    assert "rotation_top1: cat 80.00 %, dog 60.00 %." in figure.description


def test_bars_without_a_known_number_of_images_have_no_errors(made_up: Any) -> None:
    figure = target_figure(made_up().finish("rotnet", 70.0, by_target={"cat": 80.0}))
    assert figure is not None
    assert errors_of(figure.figure.axes[0]) == []
    assert "error" not in figure.caption


def test_of_many_answers_the_best_and_the_worst_are_drawn(made_up: Any) -> None:
    by_target = {f"class {n}": n / 10 for n in range(1000)}
    bars = target_figure(made_up().finish("rotnet", 50.0, by_target=by_target))
    heatmap = target_figure(made_up("table1").finish("probe3", 50.0, by_target=by_target))
    assert bars is not None
    assert heatmap is not None
    [axis], [fields] = bars.figure.axes, heatmap.figure.axes
    assert len(axis.patches) == 40
    for labels in (axis.get_xticklabels(), fields.get_yticklabels()[1:]):
        names = [label.get_text() for label in labels]
        assert (names[0], names[-1], len(names)) == ("class 999", "class 0", 40)
    assert "Of 1,000 answers the 40 of the highest and the lowest accuracy are drawn." in bars.caption
    assert "Of 1,000 answers the 40 of the highest and the lowest accuracy on conv1 are drawn." in heatmap.caption
