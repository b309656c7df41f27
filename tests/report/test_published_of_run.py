"""Published figures on a run's own page."""

from pathlib import Path
from typing import Any

import numpy as np

from rotnet_lib.report.layer_plots import layer_bars
from rotnet_lib.report.published_of_run import published_of

ROOT = Path("runs")


def test_each_layer_has_the_figure_of_its_column(made_up: Any) -> None:
    suite = made_up("table5", fingerprint=lambda config: config.dataset)
    found = published_of(suite.run("linear-rotnet").name, ROOT)
    assert found.figures == {"conv1_top1": 18.8, "conv2_top1": 31.7, "conv3_top1": 38.7, "conv4_top1": 38.2, "conv5_top1": 36.5}
    assert found.data == "ImageNet"


def test_a_run_in_no_table_and_one_whose_suite_publishes_nothing_have_none(made_up: Any) -> None:
    suite = made_up("questions")
    assert published_of(suite.run("rotnet-nonlinear").name, ROOT).figures == {}
    assert published_of("rotation-nin4-elsewhere", ROOT).figures == {}


def test_a_damaged_plan_gives_nothing_and_is_named(made_up: Any) -> None:
    suite = made_up("table3")
    name = suite.run("rotnet-conv").name
    assert published_of(name, ROOT).figures == {"conv2_top1": 91.16}
    result = suite.finish("rotnet-conv", 80.0)
    assert "damaged" not in layer_bars(result).caption
    suite.path.write_text(f"{{ {name}")
    found = published_of(name, ROOT)
    assert (found.figures, found.damaged) == ({}, (suite.directory.name,))
    said = f"Published figures may be missing: the plan of {suite.directory.name} is damaged."
    assert layer_bars(result).caption.endswith(said)


def test_they_are_diamonds_that_the_legend_and_the_text_name(made_up: Any) -> None:
    suite = made_up("table5", fingerprint=lambda config: config.dataset)
    figure = layer_bars(suite.finish("linear-rotnet", 50.0))
    [axis] = figure.figure.axes
    [line] = [line for line in axis.lines if line.get_marker() == "D"]
    assert "published (ImageNet)" in [text.get_text() for legend in figure.figure.legends for text in legend.get_texts()]
    assert np.asarray(line.get_ydata()).tolist() == [18.8, 31.7, 38.7, 38.2, 36.5]
    assert "published (ImageNet): conv1 18.8" in figure.description.replace("18.80", "18.8")
