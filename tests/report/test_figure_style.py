"""Names of classes, rows and runs are drawn as they are written, whatever they are, in every figure of a report."""

import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot, rcParams, rcParamsDefault

from rotnet_lib.data.voc.objects import Objects
from rotnet_lib.evaluation.looks import Look, Mistake, Picture
from rotnet_lib.evaluation.rotation_answers import RotationAnswers
from rotnet_lib.evaluation.upright import PlausibleCopy
from rotnet_lib.pretext import examples
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.report import (
    example_plots,
    history_plots,
    inspection_plots,
    pu_plots,
    run_plots,
    suite_plots,
    target_plots,
    voc_curves,
    voc_pictures,
    voc_segments,
)
from rotnet_lib.report.figure_style import figure_style
from rotnet_lib.report.figures import ReportFigure
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.stages.inspection import Inspection, Rotations
from rotnet_lib.stages.pu_weights import PuOutcome
from rotnet_lib.voc.detection_scores import Example, Found
from rotnet_lib.voc.segmentation import SegmentationDetails, Segmented

NAMES = ("$x", "a_b^{", r"\frac", "$\\frac{$", "two\nlines", "😀", "猫", "חתול", "%s {x}", "_x", "plain")
PIXELS = np.full((16, 16, 3), 90, np.uint8)


@pytest.fixture(autouse=True)
def _as_matplotlib_comes() -> Iterator[None]:
    """And a warning is an error: it would stand in the report."""
    rcParams["text.parse_math"] = rcParamsDefault["text.parse_math"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    rcParams["text.parse_math"] = rcParamsDefault["text.parse_math"]


def drawn(picture: ReportFigure | None) -> str:
    """The figure is drawn, as when a notebook shows it; its texts."""
    assert picture is not None
    assert picture.html
    texts = picture.figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(text.get_text() for text in texts)  # type: ignore[attr-defined]


def shows_all(text: str) -> bool:
    return all(name in text or name.replace("\n", " ") in text for name in NAMES)


def test_bars_of_classes(made_up: Any) -> None:
    by_class = {name: 10.0 * number for number, name in enumerate(NAMES)}
    assert shows_all(drawn(voc_curves.ap_bars(by_class)))
    result = made_up().finish("rotnet-conv", 80.0, by_target=by_class)
    assert shows_all(drawn(target_plots.target_figure(result)))


def test_bars_of_classes_by_metric(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 80.0, by_target=dict.fromkeys(NAMES, 1.0))
    result.by_target = dict.fromkeys(NAMES, result.by_target["conv2_top1"])
    assert shows_all(drawn(target_plots.target_figure(result)))


def test_curves_of_classes() -> None:
    points = np.linspace(0, 1, 5)
    assert shows_all(drawn(voc_curves.pr_curves(dict.fromkeys(NAMES, (points, points)))))


def test_training_and_loss_curves() -> None:
    rows = {"epoch": [1, 2], "iteration": [1, 2], "lr": [0.1, 0.1], "train_loss": [1.0, 0.5], "test_loss": [1.0, 0.5]}
    names = [name for name in NAMES if "\n" not in name]  # a metric's name is an identifier
    accuracy = MetricValue(last=2.0)
    odd = {f"{split}_{name}": [1.0, 2.0] for name in names for split in ("train", "test")}
    text = drawn(run_plots.training_curves(pd.DataFrame({**rows, **odd}), dict.fromkeys(names, accuracy)))
    assert all(name in text for name in names)
    losses = {f"train_loss_{name}": [1.0, 2.0] for name in ("$x", "plain")}
    assert "plain" in drawn(
        run_plots.training_curves(pd.DataFrame({**rows, **losses, "test_top1": [1.0, 2.0]}), {"top1": accuracy})
    )
    assert "plain" in drawn(run_plots.loss_curves(pd.DataFrame({**rows, **losses})))


@pytest.mark.parametrize("suite", ["table1", "table3", "table9", "figure5a", "figure5b", "questions"])
def test_pictures_of_a_suite(suite: str, made_up: Any) -> None:
    made = made_up(suite)
    made.finish_all(by_target=dict.fromkeys(("cat", "ship"), 50.0))
    report = made.report()
    names = dict(zip((row.label for row in report.rows), NAMES, strict=False))
    report.rows = [dataclasses.replace(row, label=names.get(row.label, row.label)) for row in report.rows]
    report.columns = dict(zip(report.columns, NAMES, strict=False)) if len(report.columns) <= len(NAMES) else report.columns
    text = drawn(suite_plots.picture(report))
    assert all(name in text for name in names.values())


def test_learning_curves(made_up: Any) -> None:
    made = made_up("table2")
    made.finish_all()
    report = made.report()
    names = dict(zip((run.key for run in report.runs), NAMES, strict=False))
    report.runs = [dataclasses.replace(run, key=names.get(run.key, run.key)) for run in report.runs]
    text = drawn(history_plots.learning_curves(report))
    assert all(name in text for name in names.values())


@pytest.fixture
def inspection(tmp_path: Path) -> Inspection:
    pictures = [Picture(number, PIXELS, name) for number, name in enumerate(NAMES)]
    rng = np.random.default_rng(0)
    attention = {"conv1": rng.random((len(NAMES), 16, 16), dtype=np.float32)}
    looks = [Look(title, "nin3", attention, rng.standard_normal((10, 5, 5, 3), dtype=np.float32)) for title in NAMES[:3]]
    answers = RotationAnswers((0, 90), np.log(np.full((4, 2, 2), 0.5, np.float32)))
    result: Any = None
    return Inspection(
        RunDirectory(tmp_path),
        result,
        ("conv1",),
        2,
        pictures,
        looks,
        [examples.Example([picture.pixels], 1, picture.name, None) for picture in pictures],
        Rotations(answers, [Mistake(picture, 90, 0, 0.5) for picture in pictures], [(picture, 1.0) for picture in pictures]),
    )


def test_pictures_of_an_inspection(inspection: Inspection) -> None:
    _, mistakes, ambiguous = inspection_plots.rotation_figures(inspection)
    for figure in (inspection_plots.attention_grid(inspection), mistakes, ambiguous):
        assert shows_all(drawn(figure))
    drawn(example_plots.example_grid(inspection.examples))


def test_filters_and_confusion(inspection: Inspection) -> None:
    filters = inspection_plots.filter_grid(inspection)
    drawn(filters)
    assert all(name in filters.caption for name in NAMES[:3])
    drawn(inspection_plots.rotation_figures(inspection)[0])


def test_pictures_of_weights(tmp_path: Path, made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", {"rotation_top1": 60.0, "upright": 33.0})
    result.by_target = {"upright": dict.fromkeys(NAMES, 10.0)}
    copies = [PlausibleCopy(number, name, 90, 0.9, PIXELS) for number, name in enumerate(NAMES)]
    p = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0)) ** 4
    outcome = PuOutcome(RunDirectory(tmp_path), result, Plausibility(p, (0, 90), {}), copies, "note")
    assert shows_all(drawn(pu_plots.plausible_copies(outcome)))
    assert shows_all(drawn(pu_plots.plausibility_by_class(outcome)))
    assert "$" not in drawn(pu_plots.plausibility_histogram(outcome)), "a tick label that is a formula"


def test_pictures_of_detections() -> None:
    boxes = np.array([[1.0, 1, 9, 9]] * len(NAMES), np.float32)
    labels = np.arange(len(NAMES))
    found = Found(boxes, np.full(len(NAMES), 0.9), labels)
    objects = Objects(boxes, labels, np.zeros(len(NAMES), bool))
    examples = [Example(name, PIXELS, objects, found, NAMES) for name in NAMES]
    assert shows_all(drawn(voc_pictures.detections_figure(examples)))


def test_pictures_of_segments() -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16) % (len(NAMES) + 1)
    pictures = tuple(Segmented(name, PIXELS, mask, mask) for name in NAMES)
    details = SegmentationDetails(pictures, ("background", *NAMES), (), np.zeros((12, 12), np.int64))
    assert shows_all(drawn(voc_segments.segments_figure(details)))


def test_a_tick_label_that_is_made_when_the_figure_is_shown_is_no_formula() -> None:
    with figure_style(1.0, grid=True):
        figure, axis = pyplot.subplots()
        axis.plot([0, 1], [0, 1])
    axis.xaxis.set_major_formatter(lambda value, _: f"${value:g}^{{$")
    assert "$0.2^{$" in drawn(ReportFigure(figure, "caption", "description"))
