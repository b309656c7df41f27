"""Fine-tuning: the backbone is trained as well, on all labels or a few."""

from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.classifier_task import ClassifierTask
from rotnet_lib.runs.directory import MODEL, RunDirectory
from rotnet_lib.stages.finetune import FinetuneConfig, finetune
from rotnet_lib.stages.train import Outcome
from rotnet_lib.training.checkpoints import load_tensors
from rotnet_lib.training.task import Step

Tensors = dict[str, torch.Tensor]


def run_finetune(tiny: dict[str, Any], **parameters: Any) -> Outcome:
    outcome = finetune(FinetuneConfig.build(tiny | parameters))
    outcome.save()
    return outcome


def backbone_weights(run: RunDirectory) -> Tensors:
    return {name: tensor for name, tensor in load_tensors(run.path / MODEL)[0].items() if name.startswith("backbone.blocks.")}


def test_weights_and_statistics_of_the_blocks_below_change(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained()
    outcome = run_finetune(tiny, backbone=run.name, layer="conv2")
    before, after = backbone_weights(run), backbone_weights(outcome.directory)
    assert {name.split(".")[2] for name in before} == {"conv1", "conv2", "conv3"}
    assert {name.split(".")[2] for name in after} == {"conv1", "conv2"}  # what is above the layer is dropped
    for name, tensor in after.items():
        assert not torch.equal(tensor, before[name]), name
    trained = {n: t for n, t in load_tensors(outcome.directory.path / MODEL)[0].items() if n.endswith(("weight", "bias"))}
    assert outcome.result.training
    assert outcome.result.training.parameters == sum(tensor.numel() for tensor in trained.values())


def test_it_starts_from_the_pretrained_weights(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained()
    outcome = run_finetune(tiny, backbone=run.name, lr=0)
    after = {name: tensor for name, tensor in backbone_weights(outcome.directory).items() if name.endswith("weight")}
    before = backbone_weights(run)
    assert after
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())


def test_it_starts_from_decouplings_weights_too(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained(task="decoupling")
    outcome = run_finetune(tiny, backbone=run.name, layer="conv3", lr=0)
    before, after = backbone_weights(run), backbone_weights(outcome.directory)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in before if name.endswith("weight"))


def test_frozen_it_is_a_probe(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained()
    outcome = run_finetune(tiny, backbone=run.name, freeze=True)
    before = backbone_weights(run)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone_weights(outcome.directory).items())


def test_the_same_seed_gives_the_same_figures(pretrained: Any, tiny: dict[str, Any]) -> None:
    run = pretrained()
    outcomes = [run_finetune(tiny, backbone=str(run.path), runs=folder, epochs=2, labels_per_class=3) for folder in "ab"]
    first, second = (load_tensors(outcome.directory.path / MODEL)[0] for outcome in outcomes)
    assert outcomes[0].result.metrics == outcomes[1].result.metrics
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


# --- Few labels ---


def first_of_each_class(split: Split | StreamedSplit, count: int) -> set[bytes]:
    """The images that come first in their class, found one by one."""
    seen = dict.fromkeys(range(10), 0)
    chosen = set()
    for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True):
        if seen[label] < count:
            chosen.add(image.tobytes())
        seen[label] += 1
    return chosen


@pytest.mark.parametrize("labels", [1, 3])
def test_the_first_images_of_each_class_are_trained_on(
    labels: int, tiny: dict[str, Any], shapes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []
    step = ClassifierTask.step

    def noted(self: ClassifierTask, batch: Batch) -> Step:
        if self.module.training:
            shown.append(batch.images.permute(0, 2, 3, 1).numpy().copy())
        return step(self, batch)

    monkeypatch.setattr(ClassifierTask, "step", noted)
    tiny |= {"backbone": "random", "arch": "nin3", "augment": "none", "epochs": 3}
    outcome = run_finetune(tiny, labels_per_class=labels)
    images = [image.tobytes() for batch in shown for image in batch]
    assert set(images) == first_of_each_class(shapes_data.train, labels)
    assert outcome.result.data.train_images == 10 * labels
    assert outcome.result.data.test_images == 20


def test_an_epoch_draws_as_many_samples_whatever_the_number_of_labels(tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": "random", "arch": "nin3"}
    few, all_labels = run_finetune(tiny, labels_per_class=1), run_finetune(tiny)
    assert few.result.training
    assert all_labels.result.training
    assert few.result.training.inputs == all_labels.result.training.inputs == 32  # of 40 images, in whole batches of 16


def test_too_many_labels_name_the_class_that_has_fewer(tiny: dict[str, Any], shapes_data: Dataset) -> None:
    tiny |= {"backbone": "random", "arch": "nin3", "train_size": 39}  # the last class goes short
    last = shapes_data.classes[9]
    assert run_finetune(tiny, labels_per_class=3).result.data.train_images == 30
    with pytest.raises(RotnetError, match=f"labels_per_class: 4 asked for, but class '{last}' has 3 images"):
        run_finetune(tiny, labels_per_class=4)


# --- Its config ---


@pytest.mark.parametrize("layer", ["conv1,conv2", "all"])
def test_it_takes_one_layer(layer: str, tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match="finetune takes one layer, not conv1, conv2") as error:
        FinetuneConfig.build(tiny | {"backbone": "random", "arch": "nin3", "layer": layer})
    assert "probe takes several" in str(error.value)


def test_names_say_what_was_trained(tiny: dict[str, Any]) -> None:
    tiny |= {"backbone": "random", "arch": "nin4"}
    assert FinetuneConfig.build(tiny).slug == "random-nin4-conv2-conv"
    assert FinetuneConfig.build(tiny | {"backbone": "random-rescaled"}).slug == "random-rescaled-nin4-conv2-conv"
    few = FinetuneConfig.build(tiny | {"backbone": "run", "labels_per_class": 20, "freeze": True, "classifier": "linear"})
    assert few.slug == "finetune-nin4-conv2-linear-20-labels-frozen"
