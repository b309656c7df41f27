"""The task of a finished run is made again with exactly the weights that one of its files holds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.directory import MODEL, RunDirectory, checkpoint_name
from rotnet_lib.stages.probe import ProbeConfig, probe
from rotnet_lib.stages.trained_task import load_task
from rotnet_lib.training.checkpoints import load_tensors

Pretrained = Callable[..., RunDirectory]


@pytest.mark.parametrize("task", ["rotation", "labels", "rotation-instance"])
def test_every_weight_is_the_files(task: str, pretrained: Pretrained, shapes_data: Dataset) -> None:
    weights = pretrained(task=task).path / MODEL
    made, backbone = load_task(weights, shapes_data)
    module = made.module
    assert module.backbone is backbone
    tensors, _ = load_tensors(weights)
    assert module.state_dict().keys() == tensors.keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in module.state_dict().items())
    assert not module.training


def test_a_checkpoint_on_the_way_has_its_own(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained(epochs=2, checkpoints=[0.5])
    early, late = (
        load_task(run.path / name, shapes_data)[0].module.state_dict()["head.2.weight"] for name in (checkpoint_name(1), MODEL)
    )
    assert not torch.equal(early, late)


def test_other_classes_do_not_fit_a_supervised_run(pretrained: Pretrained, shapes_data: Dataset) -> None:
    weights = pretrained(task="labels").path / MODEL
    with pytest.raises(RotnetError, match=r"does not fit the model: head.* It is of task labels on shapes\."):
        load_task(weights, replace(shapes_data, classes=shapes_data.classes[:3]))


def test_a_run_without_a_task_is_refused(pretrained: Pretrained, tiny: dict[str, Any], shapes_data: Dataset) -> None:
    pretrained()
    outcome = probe(ProbeConfig.build(tiny))
    outcome.save()
    with pytest.raises(RotnetError, match=f"run {outcome.directory.name} has no task that it was trained on"):
        load_task(outcome.directory.path / MODEL, shapes_data)
