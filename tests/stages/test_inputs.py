"""A backbone of another kind of input than RGB, in every stage that reads one: the images stay what they are."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.models.folding import first_filters
from rotnet_lib.pretext import TASKS
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.report.inspection_plots import filter_grid
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.stages.finetune import FinetuneConfig, finetune
from rotnet_lib.stages.inspection import InspectConfig, inspect_backbone
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.training.checkpoints import load_backbone, load_network, load_tensors

SMALL: dict[str, Any] = {"dataset": "shapes", "train_size": 40, "test_size": 20, "device": "cpu"}
TRAINED: dict[str, Any] = SMALL | {"epochs": 1, "batch_size": 16}


@pytest.fixture
def run(pretrained: Callable[..., RunDirectory], luminance: str) -> Iterator[RunDirectory]:
    """Of a task whose backbone reads it."""

    @TASKS.register("grey-rotation")
    class GreyRotation(Rotation):
        inputs = luminance

    yield pretrained(arch="nin3", task="grey-rotation")
    TASKS.remove("grey-rotation")


@pytest.mark.parametrize("classifier", ["linear", "nonlinear", "conv", "rest"])
def test_it_is_probed(run: RunDirectory, luminance: str, classifier: str) -> None:
    chosen = TRAINED | {"backbone": run.name, "layer": "conv1,conv2", "classifier": classifier, "views": "flipped"}
    outcome = probe(ProbeConfig.build(chosen))
    after, before = (load_backbone(directory.path / MODEL) for directory in (outcome.directory, run))
    assert after.inputs == luminance
    assert torch.equal(after.normalize.mean, before.normalize.mean)  # its statistics, not those of the probe's images
    assert outcome.result.metrics.keys() == {"conv1_top1", "conv2_top1"}


def test_it_is_trained_on_with_labels(run: RunDirectory, luminance: str) -> None:
    outcome = finetune(FinetuneConfig.build(TRAINED | {"backbone": run.name, "layer": "conv2"}))
    after, before = (load_backbone(directory.path / MODEL) for directory in (outcome.directory, run))
    assert after.inputs == luminance
    assert not torch.equal(next(after.parameters()), next(before.parameters()))


def test_it_is_inspected(run: RunDirectory, shapes_data: Dataset) -> None:
    found = inspect_backbone(InspectConfig.build(SMALL | {"backbone": run.name, "images": (3, 7)}))
    backbone = load_backbone(run.path / MODEL).eval()
    [look] = found.looks
    chosen = shapes_data.test.images[[3, 7]].permute(0, 3, 1, 2)
    with torch.no_grad():
        features = backbone.features(chosen, ["conv1"])["conv1"].square().sum(1, keepdim=True)
        answers = load_network(run.path / MODEL, 32)(chosen).log_softmax(1)
    expected = torch.nn.functional.interpolate(features, size=(32, 32), mode="bilinear")[:, 0]
    np.testing.assert_allclose(look.attention["conv1"], expected.numpy(), rtol=1e-4)
    assert found.rotations
    np.testing.assert_allclose(found.rotations.answers.log_p[[3, 7], 0], answers.numpy(), rtol=1e-4, atol=1e-5)
    assert (found.pictures[0].pixels == shapes_data.test.images[3].numpy()).all()  # in colour


def test_its_filters_are_drawn_in_grey(run: RunDirectory) -> None:
    found = inspect_backbone(InspectConfig.build(SMALL | {"backbone": run.name, "images": (0,)}))
    kernels = first_filters(load_backbone(run.path / MODEL))
    filters = found.looks[0].filters
    assert filters.shape == (10, 5, 5, 3)
    assert all((filters[..., colour] == kernels[:, 0].numpy()).all() for colour in range(3))
    assert filter_grid(found).figure.axes


def test_its_file_is_as_any_other(run: RunDirectory) -> None:
    tensors, header = load_tensors(run.path / MODEL)
    assert header["inputs"] == "luminance"
    assert tensors["backbone.blocks.conv1.0.weight"].shape == (10, 1, 5, 5)


def test_a_task_says_which_kind_its_backbone_reads(run: RunDirectory, luminance: str) -> None:
    assert load_backbone(run.path / MODEL).inputs == luminance
