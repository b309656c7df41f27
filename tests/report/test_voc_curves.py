"""Per-class bars and precision-recall curves show what they were given."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rotnet_lib.report.voc_curves import ap_bars, pr_curves


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def heights(axis: Axes) -> list[float]:
    return [bar.get_height() for bar in axis.patches if isinstance(bar, Rectangle)]


def test_bars_fall_from_left_to_right_about_their_mean() -> None:
    figure = ap_bars({"car": 20.0, "cup": 80.0, "tree": 50.0}).figure
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cup", "tree", "car"]
    assert heights(axis) == [80, 50, 20]
    [line] = axis.get_lines()
    assert np.unique(np.asarray(line.get_ydata())).tolist() == [50]
    assert axis.get_legend().get_texts()[0].get_text() == "mean 50.0"
    assert axis.get_ylabel() == "average precision (%)"
    assert axis.get_ylim()[1] > 80


def test_chance_of_the_mean_is_a_dotted_line_and_said() -> None:
    shown = ap_bars({"car": 20.0, "cup": 80.0}, chance=31.25)
    [axis] = shown.figure.axes
    _, dotted = axis.get_lines()
    assert dotted.get_linestyle() == ":"
    assert np.unique(np.asarray(dotted.get_ydata())).tolist() == [31.25]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["mean 50.0", "chance of the mean 31.2"]
    assert shown.description.endswith("Mean 50.00 %. Chance 31.25 %.")


@pytest.mark.parametrize("value", [0.0, 100.0])
def test_one_class_alone(value: float) -> None:
    [axis] = ap_bars({"car": value}, "IoU (%)").figure.axes
    assert axis.get_ylabel() == "IoU (%)"
    assert heights(axis) == [value]


@pytest.mark.parametrize("count", [1, 7, 20])
def test_a_panel_a_class(count: int) -> None:
    recall = np.linspace(1, 0, 2000)
    figure = pr_curves({f"class {number}": (recall, 1 - recall**2) for number in range(count)}).figure
    assert [axis.get_title() for axis in figure.axes] == [f"class {number}" for number in range(count)]
    with io.BytesIO() as stream:
        figure.savefig(stream, format="svg")
        assert stream.tell() < 1_200_000


def test_a_curve_of_many_points_keeps_its_ends_and_its_area() -> None:
    recall = np.linspace(0, 1, 20_000)
    [axis] = pr_curves({"car": (recall, 1 - recall**2)}).figure.axes
    [line] = axis.get_lines()
    x, y = (np.asarray(values) for values in line.get_data())
    assert len(x) <= 301
    assert (np.diff(x, prepend=0) * y).sum() == pytest.approx(2 / 3, abs=0.005)
    assert x[-1] == 1


def test_the_numbers_on_bars_have_a_decimal() -> None:
    [axis] = ap_bars({"car": 15.27, "cup": 0.15}).figure.axes
    assert [text.get_text() for text in axis.texts] == ["15.3", "0.1"]


@pytest.mark.parametrize("falling", [True, False])
def test_the_area_under_the_steps_drawn_is_the_average_precision(falling: bool) -> None:
    recall, precision = np.array([0, 0.5, 0.5, 1.0]), np.array([1, 1, 0.5, 2 / 3])
    order = slice(None, None, -1) if falling else slice(None)
    [axis] = pr_curves({"car": (recall[order], precision[order])}).figure.axes
    [line] = axis.get_lines()
    assert line.get_drawstyle() == "steps-pre"
    x, y = (np.asarray(values) for values in line.get_data())
    assert (np.diff(x) * y[1:]).sum() == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_a_class_of_which_nothing_was_found_has_an_empty_panel() -> None:
    nothing = np.zeros(0)
    empty, full = pr_curves({"cup": (nothing, nothing), "car": (np.array([0.5]), np.array([1.0]))}).figure.axes
    assert (empty.get_title(), full.get_title()) == ("cup", "car")
    [line], [other] = empty.get_lines(), full.get_lines()
    assert (np.size(line.get_xdata()), np.size(other.get_xdata())) == (0, 1)
    with io.BytesIO() as stream:
        empty.figure.savefig(stream, format="png")
        assert stream.tell()
