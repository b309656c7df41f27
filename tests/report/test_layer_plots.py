"""The picture of a k-NN run: a bar a layer, and what guessing gives."""

from typing import Any

import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from rotnet_lib.report.layer_plots import layer_bars
from rotnet_lib.runs.schema import DataRecord, Environment, MetricValue, RunResult


def result_of(**accuracies: float) -> RunResult:
    parameters: Any = {"backbone": "random", "arch": "nin4"}
    return RunResult(
        run="r", stage="knn", parameters=parameters, protocol_differences={}, by_target={}, training=None, wall_seconds=1.0,
        data=DataRecord(name="d", title="D", fingerprint="0", classes=[], train_images=4, test_images=1),
        metrics={f"{layer}_top1": MetricValue(last=value, chance=10.0) for layer, value in accuracies.items()},
        peak_memory_mib=1, environment=Environment(), finished_at="",
    )  # fmt: skip


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]  # type: ignore[attr-defined]


@pytest.mark.parametrize("accuracies", [{"conv1": 31.25, "conv2": 47.5, "conv3": 0.0}, {"conv2": 100.0}])
def test_each_layer_has_a_bar_with_its_figure(accuracies: dict[str, float]) -> None:
    figure = layer_bars(result_of(**accuracies)).figure
    [axis] = figure.axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == list(accuracies)
    heights = [bar.get_height() for container in axis.containers for bar in container]
    assert heights == list(accuracies.values())
    assert {f"{value:.2f}" for value in accuracies.values()} <= set(texts(figure))
    assert axis.get_ylim()[0] == 0
    assert axis.get_ylim()[1] > max(accuracies.values())
    assert "chance: 10.00 %" in texts(figure)
    [line] = axis.get_lines()
    assert set(line.get_ydata()) == {10.0}  # type: ignore[arg-type]


def test_each_bar_has_its_standard_error_where_it_is_known() -> None:
    """Of 400 images 80 % has an error of 2 points."""
    result = result_of(conv1=80.0, conv2=50.0)
    plain = layer_bars(result)
    assert not plain.figure.axes[0].collections
    assert "error" not in plain.caption
    result.metrics["conv1_top1"] = MetricValue(last=80.0, images=400)
    drawn = layer_bars(result)
    [lines] = drawn.figure.axes[0].collections
    assert isinstance(lines, LineCollection)
    assert lines.get_segments()[0][:, 1].tolist() == pytest.approx([78.0, 82.0])
    assert "one standard error" in drawn.caption
    assert drawn.description == "Bars. random NIN-4: conv1 80.00 %, conv2 50.00 %. Chance: 10.00 %."
