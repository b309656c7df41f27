"""Learning curves of a suite: a panel a run, on common axes, with lines that can be told apart."""

from typing import Any

import numpy as np

from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.history_plots import learning_curves
from rotnet_lib.runs.metrics import Metric


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), float).tolist() for line in axis.get_lines() if line.get_marker() not in ("None", "")]


def all_lines_of(axis: Any) -> list[list[float]]:
    return [list(line.get_ydata()) for line in axis.get_lines()]


def legend_of(drawn: ReportFigure) -> list[str]:
    return [entry.get_text() for legend in drawn.figure.legends for entry in legend.get_texts()]


def test_learning_curves_have_a_panel_a_run_and_a_line_a_seed(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed in (0, 1):
        suite.finish("supervised", 90.0 + seed, seed=seed)
        suite.finish("rotnet", 70.0 + seed, seed=seed)
    figure = learning_curves(suite.report())
    assert figure is not None
    panels = {axis.get_title(): lines_of(axis) for axis in figure.figure.axes}
    assert sorted(panels) == ["RotNet NIN-4 (rotnet)", "Supervised NIN"]
    assert panels["RotNet NIN-4 (rotnet)"] == [[35.0, 70.0, 70.0], [35.5, 71.0, 71.0]]


def test_learning_curves_of_several_layers_are_lines_of_one_panel(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0})
    figure = learning_curves(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    assert sorted(line[-1] for line in lines_of(axis)) == [50.0, 60.0, 80.0]
    assert legend_of(figure) == ["conv1", "conv2", "conv3"]
    looks = [(line.get_color(), line.get_marker()) for line in axis.get_lines()]
    assert len(set(looks)) == 3


def test_without_a_finished_run_there_are_no_learning_curves(made_up: Any) -> None:
    suite = made_up()
    suite.fail("rotnet")
    assert learning_curves(suite.report()) is None


def test_all_panels_of_a_unit_have_one_axis_with_the_line_of_guessing(made_up: Any) -> None:
    suite = made_up()
    for key, last in (("supervised", 96.0), ("random-conv", 21.0)):
        suite.finish(key, last, like=Metric(chance=10.0))
    figure = learning_curves(suite.report())
    assert figure is not None
    first, second = figure.figure.axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < 10.0 < 96.0 < first.get_ylim()[1]
    assert all([10.0, 10.0] in all_lines_of(axis) for axis in (first, second))
    assert legend_of(figure) == ["chance"]


def test_a_history_of_one_epoch_is_a_point(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0, course=[90.0])
    figure = learning_curves(suite.report())
    assert figure is not None
    assert lines_of(figure.figure.axes[0]) == [[90.0]]


def test_a_panel_is_called_as_the_row_that_the_run_is(made_up: Any) -> None:
    suite = made_up("figure5b")
    for key in ("rotnet", "rotnet-5", "supervised-5"):
        suite.finish(key, 50.0)
    figure = learning_curves(suite.report())
    assert figure is not None
    titles = [axis.get_title().replace("\n", " ") for axis in figure.figure.axes]
    assert titles == ["RotNet NIN-4 (rotnet)", "RotNet + conv (pretext task on all images): 5", "Supervised NIN: 5"]


def test_the_text_in_place_of_the_curves_says_where_each_begins_and_ends(made_up: Any) -> None:
    suite = made_up()
    suite.finish("supervised", 90.0, course=[50.0, 95.0, 90.0])
    figure = learning_curves(suite.report())
    assert figure is not None
    assert figure.description == "Curves. Supervised NIN, top1, seed 0: from 50.00 to 90.00 (highest 95.00)."


def test_a_row_by_class_has_learning_curves_too(made_up: Any) -> None:
    suite = made_up("table9")
    suite.finish("supervised", 75.0, by_target={"cat": 60.0, "ship": 90.0})
    figure = learning_curves(suite.report())
    assert figure is not None
    assert [axis.get_title() for axis in figure.figure.axes] == ["Supervised"]
    assert "a line" not in figure.caption
