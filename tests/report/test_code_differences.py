"""What a report says of the differences from the authors' code, and that docs/protocol.md says the same."""

import re
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from rotnet_lib.report.code_differences import code_differences, differences_of
from rotnet_lib.report.run_report import run_details
from rotnet_lib.report.suite_page import details
from rotnet_lib.runs.directory import RunDirectory
from rotnet_lib.runs.schema import Environment, RunResult
from rotnet_lib.stages import STAGES
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.segmentation_config import SegmentationConfig
from tests.results import made_up_result

ROOT = Path(__file__).parents[2]

NIN, LINEAR, CONV5, GPU = (
    "start of a NIN",
    "start of a classifier's linear layers",
    "start of the conv5 block of an AlexNet's `rest` on conv4",
    "precision on a GPU",
)
SEGMENTATION, DETECTION, NOISE, ORDER, EXIF = (
    "segmentation: data and schedule",
    "detections that are kept",
    "noise of the rescaling by data",
    "order of the images in VOC classification",
    "orientation that an image file's EXIF data give",
)


def result(config: Any, **environment: Any) -> RunResult:
    made = made_up_result(RunDirectory(ROOT / "runs" / "made-up"), config, "0123")
    made.environment = Environment(**environment)
    return made


def test_the_protocol_lists_the_same_in_the_same_order() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## What differs from the authors' code\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in section.splitlines() if line[:1] == "|"]
    assert rows[2:] == [(one.what, one.here, one.theirs) for one in code_differences()]


def test_each_is_of_stages_and_parameters_that_there_are() -> None:
    parameters = {name for stage in STAGES for name in STAGES[stage].config.model_fields}
    for one in code_differences():
        for description in one.where:
            assert description.keys() <= parameters | {"stage", "gpu"}
            assert set(description.get("stage", ())) <= set(STAGES)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (PretrainConfig.build({}), [NIN]),
        (PretrainConfig.build({"task": "labels", "arch": "nin3"}), [NIN]),
        (PretrainConfig.build({"init": "torch"}), []),
        (PretrainConfig.build({"arch": "alexnet", "dataset": "shapes:2"}), []),
        (PretrainConfig.build({"arch": "alexnet"}), [EXIF]),
        (PretrainConfig.build({"dataset": "imagefolder:/photos"}), [NIN, EXIF]),
        (ProbeConfig.build({"backbone": "random", "arch": "nin4"}), [NIN, LINEAR]),
        (
            ProbeConfig.build({"backbone": "random", "arch": "alexnet", "layer": "conv4", "classifier": "rest"}),
            [LINEAR, CONV5, EXIF],
        ),
        (
            ProbeConfig.build({"backbone": "random", "arch": "alexnet", "layer": "conv2", "classifier": "rest"}),
            [LINEAR, EXIF],
        ),
        (ClassificationConfig.build({"backbone": "random"}), [ORDER]),
        (ClassificationConfig.build({"backbone": "random-rescaled"}), [NOISE, ORDER]),
        (DetectionConfig.build({"backbone": "random"}), [DETECTION]),
        (SegmentationConfig.build({"backbone": "random"}), [SEGMENTATION]),
        (SegmentationConfig.build({"backbone": "random", "dataset": "scenes:128"}), []),
    ],
)
def test_a_run_has_those_that_concern_it(config: Any, expected: list[str]) -> None:
    assert [one.what for one in differences_of(result(config))] == expected
    on_gpu = {one.what for one in differences_of(result(config, device="NVIDIA H200", cuda="13.0"))}
    assert on_gpu == {*expected, *([] if config.stage.startswith("voc_") else [GPU])}  # those train in fp32


def test_a_run_from_before_a_parameter_came_is_as_its_default() -> None:
    made = result(PretrainConfig.build({}))
    del made.parameters["init"]
    assert [one.what for one in differences_of(made)] == [NIN]


def test_a_runs_page_says_here_and_theirs() -> None:
    def row(config: PretrainConfig) -> str:
        html = BeautifulSoup(run_details(result(config)).data, "html.parser")
        return " ".join(tr.get_text() for tr in html.find_all("tr") if "authors' code" in tr.get_text())

    said = row(PretrainConfig.build({}))
    assert "start of a NIN: here convolutions N(0, sqrt(2/(k*k*out)))" in said
    assert "; theirs: convolutions U(-b, b)" in said
    assert row(PretrainConfig.build({"init": "torch"})) == ""


def test_a_suites_page_says_of_which_runs(made_up: Any) -> None:
    suite = made_up("table3")
    assert "authors' code" not in details(suite.report()).data  # nothing has been run
    suite.finish("supervised", 90.0)
    suite.finish("rotnet", 80.0)
    suite.finish("rotnet-conv", 70.0)
    html = BeautifulSoup(details(suite.report()).data, "html.parser")
    heading = next(h2 for h2 in html.find_all("h2") if h2.get_text() == "What differs from the authors' code")
    rows = {tr.td.get_text(): tr.find_all("td")[-1].get_text() for tr in heading.find_next("tbody").find_all("tr")}
    assert rows == {NIN: "supervised, rotnet", LINEAR: "rotnet-conv"}
