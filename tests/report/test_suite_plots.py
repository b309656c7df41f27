"""Pictures of a suite: each kind of table has its own, and it shows the figures that were measured."""

from typing import Any

import numpy as np
import pytest

from rotnet_lib.report.cells import Cell, Row
from rotnet_lib.report.chances import Chance
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.report.row_plots import compare_rows
from rotnet_lib.report.suite_plots import picture
from rotnet_lib.runs.metrics import Metric


def lines_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), float).tolist() for line in marked(axis)]


def places_of(axis: Any) -> list[list[float]]:
    return [np.asarray(line.get_xdata(), float).tolist() for line in marked(axis)]


def marked(axis: Any) -> list[Any]:
    """The lines with markers: no error bars, no guessing."""
    return [line for line in axis.get_lines() if str(line.get_marker()) in "os^DvPX*"]


def points_of(axis: Any) -> list[tuple[float, float]]:
    """Places of all markers: value, and where the row stands."""
    return [(float(x), float(y)) for line in marked(axis) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def bars_of(axis: Any) -> list[list[float]]:
    """Both ends of every error bar, upright ones by container and lying ones by line."""
    upright = [segment[:, 1].tolist() for lines in axis.collections for segment in lines.get_segments()]
    return upright + [line.get_xdata().tolist() for line in axis.get_lines() if line.get_linewidth() == 5]


def legend_of(drawn: ReportFigure) -> list[str]:
    return [entry.get_text() for legend in drawn.figure.legends for entry in legend.get_texts()]


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
    points = points_of(axis)
    assert {90.0, 91.0, 92.8, 84.7} <= {round(value, 2) for value, _ in points}
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(labels) == 10
    place = axis.get_yticks()[labels.index("Supervised NIN")]
    assert sorted(round(value, 2) for value, at in points if at == place) == [90.0, 91.0, 92.8]


def test_rows_without_published_figures_name_no_published_dots(made_up: Any) -> None:
    suite = made_up("questions")
    suite.finish("probe-one", 60.0)
    figure = compare_rows(suite.report().rows[:2])
    assert legend_of(figure) == ["measured"]


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
    published, measured = marked(axis)
    assert (published.get_color(), published.get_marker()) == (measured.get_color(), measured.get_marker())
    assert (published.get_linestyle(), published.get_markerfacecolor()) == ("--", "white")
    assert (measured.get_linestyle(), measured.get_alpha()) == ("-", None)
    assert legend_of(figure) == ["RotNet with 3 conv. blocks", "measured", "published"]
    assert "conv2 80.00 % and published 88.26 %" in figure.description


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_matrix_without_published_figures_has_one_kind_of_line(made_up: Any) -> None:
    suite = made_up("decoupling-ablation")
    suite.finish("probe-lc", {"conv1_top1": 60.0, "conv2_top1": 80.0, "conv3_top1": 50.0, "conv4_top1": 40.0})
    figure = picture(suite.report())
    assert figure is not None
    assert lines_of(figure.figure.axes[0]) == [[60.0, 80.0, 50.0, 40.0]]
    assert legend_of(figure) == ["L_c alone"]


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
    assert legend_of(figure) == ["RotNet", "published"]
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
    assert legend_of(figure) == ["Rotation (pretext task)", "Objects (non-linear probe on conv2)"]


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
    assert legend_of(figure) == ["Supervised", "RotNet"]


# --- Errors, chance, long labels ---


def dots(label: str, *values: float, images: int | None = None) -> Row:
    return Row(label, {"top1": Cell(None, list(values), states=["finished"] * len(values), images=images)})


def test_a_mean_has_its_standard_error_to_both_sides() -> None:
    """Of 400 images 80 % has an error of 2 points; two seeds two points apart have one of 1 point beside it."""
    [axis] = compare_rows([dots("a", 80.0, images=400), dots("b", 79.0, 81.0)]).figure.axes
    assert bars_of(axis) == [pytest.approx([78.0, 82.0]), pytest.approx([79.0, 81.0])]


def test_without_a_known_error_there_is_no_bar() -> None:
    drawn = compare_rows([dots("a", 80.0)])
    assert bars_of(drawn.figure.axes[0]) == []
    assert legend_of(drawn) == ["measured"]
    assert "standard error" not in drawn.caption


@pytest.mark.parametrize(("name", "key"), [("table1", "probe3"), ("figure5b", "rotnet-5"), ("table9", "supervised")])
def test_bars_and_curves_have_errors_and_the_line_of_guessing(name: str, key: str, made_up: Any) -> None:
    suite = made_up(name)
    suite.finish(key, 80.0, images=400, like=Metric(chance=10.0), by_target={"cat": 80.0})
    drawn = picture(suite.report())
    assert drawn is not None
    [axis] = drawn.figure.axes
    error = 2.0 if name != "table9" else 6.3246  # a tenth of the images are of the class
    assert pytest.approx([80 - error, 80 + error], rel=1e-4) in bars_of(axis)
    assert "chance: 10 %" in legend_of(drawn)
    assert [10.0, 10.0] in [np.asarray(line.get_ydata()).tolist() for line in axis.get_lines()]
    assert "Chance: 10 %." in drawn.description
    assert "standard error (of the test images, with one seed)" in drawn.caption


def test_rows_that_are_guessed_at_different_rates_have_a_line_each(made_up: Any) -> None:
    suite = made_up("figure5a", set="pretrain.epochs=10")
    suite.finish("rotnet", 95.0, course=[9.5 * n for n in range(1, 11)], like=Metric(chance=25.0))
    suite.finish("probe-0.2", 50.0, like=Metric(chance=10.0))
    drawn = picture(suite.report())
    assert drawn is not None
    assert legend_of(drawn)[2:] == [
        "chance, Rotation (pretext task): 25 %",
        "chance, Objects (non-linear probe on conv2):\n10 %",
    ]


def test_on_a_common_axis_each_row_has_its_own_guessing() -> None:
    chances = {"a": Chance(4.17, "%"), "b": Chance(4.17, "%"), "c": Chance(50.0, "%")}
    drawn = compare_rows([dots("a", 20.0), dots("b", 30.0), dots("c", 90.0)], chances=chances)
    [axis] = drawn.figure.axes
    dotted = [line for line in axis.get_lines() if line.get_linestyle() == ":"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in dotted] == [4.17, 50.0]
    (_, second), (third, last) = (np.asarray(line.get_ydata()).tolist() for line in dotted)
    [_, of_b], [_, of_c] = points_of(axis)[1:]
    assert of_b < second == third < of_c < last
    assert legend_of(drawn) == ["measured", "chance of each row"]
    assert "Chance, a and others: 4.17 %. Chance, c: 50 %." in drawn.description


def test_long_labels_leave_the_axis_more_than_half_of_the_width() -> None:
    label = "copies weigh less that look upright to a RotNet which had seen the images " * 3
    drawn = compare_rows([dots(label, 80.0), dots("b", 79.0)])
    [axis] = drawn.figure.axes
    assert axis.get_position().width > 0.5
    assert max(map(len, axis.get_yticklabels()[0].get_text().split("\n"))) < 40
    assert axis.get_yticklabels()[0].get_text().replace("\n", " ") == label.strip()


def test_figures_with_the_same_limits_have_the_same_axis_whatever_their_labels() -> None:
    limits = {"top-1 accuracy (%)": (60.0, 90.0)}
    axes = [
        compare_rows([dots(label, value)], limits=limits).figure.axes[0] for label, value in (("a", 70.0), ("b" * 30, 80.0))
    ]
    assert [axis.get_xlim() for axis in axes] == [(60.0, 90.0)] * 2
    assert axes[0].get_position().bounds[0::2] == axes[1].get_position().bounds[0::2]
