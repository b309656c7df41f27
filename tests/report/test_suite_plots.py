"""Pictures of a suite: each kind of table has its own, and it shows the figures that were measured."""

from typing import Any

import numpy as np
import pytest

from rotnet_lib.report.suite_plots import compare_rows, learning_curves, picture


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), float).tolist() for line in axis.get_lines() if len(line.get_ydata())]


def places_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_xdata(), float).tolist() for line in axis.get_lines() if len(line.get_xdata())]


def legend_of(axis: Any) -> list[str]:
    return [entry.get_text() for entry in axis.get_legend().get_texts()]


@pytest.mark.parametrize("name", ["table1", "table3", "table9", "figure5a", "figure5b", "inspect", "questions"])
def test_a_suite_without_a_measured_figure_has_no_picture(name: str, made_up: Any) -> None:
    assert picture(made_up(name).report()) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("table1", "probe3"),
        ("table2", "probe-8"),
        ("table3", "supervised"),
        ("table9", "supervised"),
        ("figure5a", "probe-0.2"),
        ("figure5b", "rotnet-5"),
        ("inspect", "inspect"),
        ("questions", "probe-one"),
    ],
)
def test_one_finished_run_is_enough_for_a_picture(name: str, key: str, made_up: Any) -> None:
    suite = made_up(name)
    suite.finish(key, 70.0, by_target={"cat": 60.0, "ship": 80.0})
    figure = picture(suite.report())
    assert figure is not None
    assert figure.figure.axes[0].has_data()


# --- Rows of one column ---


def test_rows_are_compared_as_dots(made_up: Any) -> None:
    suite = made_up(seeds=2)
    suite.finish("supervised", 90.0)
    suite.finish("supervised", 91.0, seed=1)
    figure = picture(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    points = np.concatenate([np.asarray(dots.get_offsets()) for dots in axis.collections])
    assert {90.0, 91.0, 92.8, 84.7} <= set(points[:, 0].round(2))
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(labels) == 10
    on_first = points[np.abs(points[:, 1] - labels.index("Supervised NIN")) < 0.5][:, 0]
    assert sorted(on_first.round(2)) == [90.0, 91.0, 92.8]


def test_rows_without_published_figures_name_no_published_dots(made_up: Any) -> None:
    suite = made_up("questions")
    suite.finish("probe-one", 60.0)
    figure = compare_rows(suite.report().rows[:2])
    assert [entry.get_text() for legend in figure.figure.legends for entry in legend.get_texts()] == ["measured, a dot a seed"]


def test_published_figures_alone_are_shown_too(made_up: Any) -> None:
    assert compare_rows(made_up().report().rows).figure.axes[0].has_data()


# --- Several columns ---


def test_a_matrix_is_a_line_a_row_over_its_columns_with_the_published_beside_it(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0})
    figure = picture(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    assert [60.0, 80.0, 50.0] in lines_of(axis)
    assert [85.45, 88.26, 62.09] in lines_of(axis)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["conv1", "conv2", "conv3"]
    assert not any(85.07 in line for line in lines_of(axis))  # published, but of a row that is not measured
    assert {"RotNet with 3 conv. blocks", "measured", "published"} <= set(legend_of(axis))


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_matrix_without_published_figures_has_one_kind_of_line(made_up: Any) -> None:
    suite = made_up("decoupling-ablation")
    suite.finish("probe-lc", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0, "conv4_top1": 40.0})
    figure = picture(suite.report())
    assert figure is not None
    assert lines_of(figure.figure.axes[0]) == [[60.0, 80.0, 50.0, 40.0]]
    assert legend_of(figure.figure.axes[0]) == ["L_c alone"]


def test_two_schedules_side_by_side_are_bars_by_column(made_up: Any) -> None:
    suite = made_up("decoupling-table5")
    suite.finish("linear-rotnet", {f"conv{n}_top1": 10.0 * n for n in range(1, 6)})
    suite.finish("longer-rotnet", {f"conv{n}_top1": 10.0 * n + 5 for n in range(1, 6)})
    report = suite.report()
    figure = picture(report)
    assert figure is not None
    axis: Any = figure.figure.axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == list(report.columns.values())
    assert [bar.get_height() for bar in axis.patches[:10]] == [10.0, 20.0, 30.0, 40.0, 50.0, 15.0, 25.0, 35.0, 45.0, 55.0]
    assert legend_of(axis) == ["RotNet"]
    published = {column: cell.published for row in report.rows if row.label == "RotNet" for column, cell in row.cells.items()}
    assert [published[f"conv{n}"] for n in range(1, 6)] == [18.8, 31.7, 38.7, 38.2, 36.5]
    assert {published[f"conv{n}-65"] for n in range(1, 6)} == {None}


# --- Curves ---


def test_figure5a_is_a_line_a_row_over_epochs(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 95.0, course=[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0])
    suite.finish("probe-0.2", 50.0)
    suite.finish("probe-all", 70.0)
    figure = picture(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    assert (places_of(axis)[0], lines_of(axis)[0]) == ([2, 4, 6, 8, 10], [20.0, 40.0, 60.0, 80.0, 95.0])
    assert (places_of(axis)[1], lines_of(axis)[1]) == ([2, 10], [50.0, 70.0])
    assert axis.get_xlabel() == "pretext epochs"
    assert axis.get_xscale() == "linear"
    assert legend_of(axis) == ["Rotation (pretext task)", "Objects (non-linear probe on conv2)"]


def test_figure5b_counts_labels_in_powers(made_up: Any) -> None:
    suite = made_up("figure5b")
    suite.finish("rotnet-5", 50.0)
    suite.finish("rotnet-all", 80.0, train_images=4000)
    figure = picture(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    assert places_of(axis) == [[5, 400]]
    assert axis.get_xscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["5", "400"]


def test_a_curve_goes_through_the_mean_of_the_seeds(made_up: Any) -> None:
    suite = made_up("figure5b", seeds=2)
    for seed, last in ((0, 50.0), (1, 54.0)):
        suite.finish("rotnet-5", last, seed=seed)
        suite.finish("rotnet-20", last + 10, seed=seed)
    figure = picture(suite.report())
    assert figure is not None
    assert lines_of(figure.figure.axes[0]) == [[52.0, 62.0]]


# --- By class ---


def test_table9_is_a_bar_a_class_and_row(made_up: Any) -> None:
    suite = made_up("table9")
    suite.finish("supervised", 75.0, by_target={"cat": 60.0, "ship": 90.0})
    suite.finish("rotnet-conv", 75.0, by_target={"cat": 50.0, "ship": 80.0})
    figure = picture(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    patches: Any = axis.patches
    heights = [float(bar.get_height()) for bar in patches if bar.get_height() > 0]
    assert heights == [60.0, 90.0, 50.0, 80.0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "ship"]
    assert legend_of(axis) == ["Supervised", "RotNet"]


# --- Learning curves ---


def test_learning_curves_have_a_panel_a_run_and_a_line_a_seed(made_up: Any) -> None:
    suite = made_up(seeds=2)
    for seed in (0, 1):
        suite.finish("supervised", 90.0 + seed, seed=seed)
        suite.finish("rotnet", 70.0 + seed, seed=seed)
    figure = learning_curves(suite.report())
    assert figure is not None
    panels = {axis.get_title(): lines_of(axis) for axis in figure.figure.axes}
    assert sorted(panels) == ["rotnet", "supervised"]
    assert panels["rotnet"] == [[35.0, 70.0, 70.0], [35.5, 71.0, 71.0]]


def test_learning_curves_of_several_layers_are_lines_of_one_panel(made_up: Any) -> None:
    suite = made_up("table1")
    suite.finish("probe3", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0})
    figure = learning_curves(suite.report())
    assert figure is not None
    [axis] = figure.figure.axes
    assert sorted(line[-1] for line in lines_of(axis)) == [50.0, 60.0, 80.0]


def test_without_a_finished_run_there_are_no_learning_curves(made_up: Any) -> None:
    suite = made_up()
    suite.fail("rotnet")
    assert learning_curves(suite.report()) is None
