"""What a run's page is called, and what its figures are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rotnet_lib.pretext import TASKS
from rotnet_lib.report.metric_titles import metric_title, short_titles
from rotnet_lib.report.run_title import data_title, described, network_of, run_title
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import MetricValue
from rotnet_lib.stages import STAGES
from rotnet_lib.suites.methods import load_methods

DRAWN = "shapes (drawn, not photographs)"


def test_a_probe_names_layer_classifier_network_data_and_figure(made_up: Any) -> None:
    suite = made_up()
    suite.finish("rotnet", 90.0, title=DRAWN)
    assert run_title(suite.finish("rotnet-conv", 78.3, title=DRAWN)) == (
        "Probe of conv2, conv classifier, on RotNet NIN-4, drawn shapes: 78.3 %"
    )


def test_a_probe_of_one_half_says_so() -> None:
    asked = {"backbone": "random", "arch": "nin4-split", "layer": ["conv2"], "classifier": "linear", "half": "ab"}
    assert described("probe", asked) == "Probe of conv2, ab half alone, linear classifier, on random split NIN-4"


def test_a_pretext_run_names_its_metric(made_up: Any) -> None:
    assert run_title(made_up().finish("rotnet", 86.65, title=DRAWN)) == (
        "RotNet NIN-4 trained on drawn shapes: rotation accuracy 86.7 %"
    )


def test_of_several_layers_the_best_is_named(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 50.0)
    result.metrics["conv3_top1"] = MetricValue(last=61.0)
    assert run_title(result).endswith(": up to 61.0 % (conv3)")


def test_a_run_whose_backbone_is_gone_names_that_run(made_up: Any) -> None:
    suite = made_up()
    result = suite.finish("rotnet-conv", 78.3)
    assert f"on NIN-4 of {result.parameters['backbone']}" in run_title(result)


@pytest.mark.parametrize(("backbone", "words"), [("random", "random NIN-4"), ("random-rescaled", "random rescaled NIN-4")])
def test_untrained_backbones(backbone: str, words: str) -> None:
    assert network_of({"backbone": backbone, "arch": "nin4"}).words == words


def test_what_is_not_the_tasks_usual_is_named(pretrained: Callable[..., RunDirectory]) -> None:
    usual, other = pretrained().result(), pretrained(task_options={"angles": [0, 180]}).result()
    assert network_of(usual.parameters).words == "RotNet NIN-3"
    assert network_of(other.parameters).words == "RotNet NIN-3 (angles 0 180)"


@pytest.mark.parametrize(
    ("title", "short"),
    [
        (DRAWN, "drawn shapes"),
        ("scenes of 128 pixels (drawn, not photographs)", "drawn scenes"),
        ("VOC 2007", "PASCAL VOC 2007"),
        ("CIFAR-10 (JPEG copy)", "CIFAR-10 (JPEG copy)"),  # what stands in for something else is not hidden
        ("images of VOC", "images of VOC"),
    ],
)
def test_data(title: str, short: str) -> None:
    assert data_title(title) == short


def test_detection_on_drawn_scenes_is_not_called_pascal_voc() -> None:
    found = {"backbone": "random", "arch": "alexnet"}
    assert described("voc_detection", found | {"dataset": "scenes:128"}) == "Detection on drawn scenes, random AlexNet"
    assert described("voc_detection", found | {"dataset": "voc2007"}) == "Detection on PASCAL VOC 2007, random AlexNet"


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_has_words(stage: str) -> None:
    words = described(
        stage, {"backbone": "random", "arch": "nin4", "dataset": "shapes", "layer": ["conv1"], "task": "rotation"}
    )
    assert "_" not in words
    assert "shapes" in words


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_here_and_its_metrics_have_titles(task: str) -> None:
    assert TASKS[task].title
    for name in TASKS[task].metrics:
        assert metric_title("pretrain", name) != name


def test_a_methods_task_is_titled_as_the_method() -> None:
    for method in load_methods().values():
        assert method.title.lower().startswith(TASKS[method.task].title.lower()), method


def test_metrics_of_detection_and_of_classification() -> None:
    assert metric_title("voc_detection", "map") == "mAP (11-point)"
    assert metric_title("voc_classification", "map") == "mAP"
    assert metric_title("voc_segmentation", "miou") == "Mean IoU"
    assert metric_title("pretrain", "somebodys_own") == "somebodys_own"


def test_layers_and_other_metrics_of_one_run_are_told_apart(made_up: Any) -> None:
    result = made_up().finish("rotnet-conv", 50.0)
    result.metrics |= {"conv3_top1": MetricValue(last=61.0), "psnr": MetricValue(last=21.0, unit="dB")}
    assert short_titles(result) == {"conv2_top1": "conv2", "conv3_top1": "conv3", "psnr": "PSNR"}
    assert Path("runs").is_dir()
