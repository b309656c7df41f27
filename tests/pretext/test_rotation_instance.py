"""Rotation and instance discrimination together: the loss against its formula, and the memory of the images."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.pretext.parts.pu import Plausibility
from rotnet_lib.pretext.parts.rotate import rotate_all
from rotnet_lib.pretext.rotation import Rotation
from rotnet_lib.pretext.rotation_instance import RotationInstance
from rotnet_lib.runs.directory import MODEL, RESUME, RunDirectory
from rotnet_lib.seeds import seeded
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_network, load_tensors
from tests.pretext.parts.banks import remember_all
from tests.training.weights import killed

Pretrained = Callable[..., RunDirectory]

IMAGES = {"fingerprint": "0"}
"""Which images the weights are of."""


def task(data: Dataset, **options: Any) -> RotationInstance:
    with seeded(0):
        backbone = make_backbone("nin3", width=0.05, mean=data.mean, std=data.std)
        return RotationInstance(backbone, data, RotationInstance.Options(**{"dimension": 5} | options))


def training_batch(data: Dataset, size: int = 6) -> Batch:
    return next(Loader(data.train, size, seed=0, augment="pad-crop").epoch(0))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / math.sqrt(sum(float(x) ** 2 for x in vector))


def mean_embeddings(instance: RotationInstance, batch: Batch) -> np.ndarray:
    """(N, D): f_i, one image and one copy at a time."""
    found = []
    with torch.no_grad():
        for image in batch.images:
            turned = [torch.from_numpy(np.rot90(image.numpy(), k, axes=(1, 2)).copy())[None] for k in range(4)]
            maps = [instance.module.backbone(copy).mean(dim=(2, 3))[0] for copy in turned]
            linear = instance.module.project
            found.append(unit(sum((linear.weight @ m + linear.bias).double() for m in maps).numpy() / 4))
    return np.stack(found)


# --- The loss ---


@pytest.mark.parametrize("unseen", [0, 2, 6])
@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 0.07), (0.3, 0.5)])
def test_the_loss_is_the_formulas(weight: float, temperature: float, unseen: int, shapes_data: Dataset) -> None:
    """L = L_rotation + weight * L_n, L_n = -1/N sum_i log of exp(v_i.f_i / t) / sum_j exp(v_j.f_i / t), over images seen."""
    instance = task(shapes_data, instance_weight=weight, temperature=temperature)
    instance.module.eval()  # batch norm would tie the images together
    batch = training_batch(shapes_data)
    new = batch.index.tolist()[:unseen]
    remember_all(instance.module.bank, but=(*new, next(n for n in range(40) if n not in batch.index)))
    rotation = Rotation.rotation_step(instance, *logits_of(instance, batch)).loss.item()
    bank = instance.module.bank.memory.double().numpy().copy()
    total = 0.0
    for place, f in zip(batch.index.tolist(), mean_embeddings(instance, batch), strict=True):
        exponentials = [math.exp(float(v @ f) / temperature) if v.any() else 0.0 for v in bank]
        total -= math.log(exponentials[place] / sum(exponentials)) if place not in new else 0.0
    step = instance.step(batch)
    assert step.loss.item() == pytest.approx(rotation + weight * total / 6, rel=1e-4)
    assert step.inputs == 24


def logits_of(instance: RotationInstance, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, Batch]:
    """Logits and labels of all copies, and the batch."""
    labels = torch.arange(4).repeat_interleave(len(batch))
    with torch.no_grad():
        return instance.module(rotate_all(batch.images, (0, 90, 180, 270))), labels, batch


def test_without_weight_it_is_rotation(shapes_data: Dataset) -> None:
    instance = task(shapes_data, instance_weight=0)
    instance.module.eval()
    batch = training_batch(shapes_data)
    expected = Rotation.rotation_step(instance, *logits_of(instance, batch))
    step = instance.step(batch)
    assert step.loss.item() == pytest.approx(expected.loss.item())
    assert torch.equal(step.values["rotation_top1"], expected.values["rotation_top1"])
    assert step.targets is not None
    assert expected.targets is not None
    assert torch.equal(step.targets, expected.targets)


def test_both_losses_reach_the_backbone_and_each_its_own_head(shapes_data: Dataset) -> None:
    gradients = []
    for weight in (0.0, 1.0):
        instance = task(shapes_data, instance_weight=weight)
        remember_all(instance.module.bank)
        instance.step(training_batch(shapes_data)).loss.backward()
        gradients.append({name: p.grad for name, p in instance.module.named_parameters() if p.grad is not None})
    alone, both = gradients
    assert all(torch.equal(alone[name], both[name]) for name in alone if name.startswith("head."))
    assert all(alone[name].eq(0).all() and both[name].ne(0).any() for name in alone if name.startswith("project."))
    weights = [name for name in alone if name.startswith("backbone.") and name.endswith("weight")]
    assert weights
    assert not any(torch.equal(alone[name], both[name]) for name in weights)


def test_testing_asks_for_the_rotation_alone(shapes_data: Dataset) -> None:
    instance = task(shapes_data)
    instance.module.eval()
    before = instance.module.bank.memory.clone()
    batch = next(ordered_batches(shapes_data.test, 8))
    step = instance.evaluate(batch)
    expected = Rotation.rotation_step(instance, *logits_of(instance, batch))
    assert step.loss.item() == pytest.approx(expected.loss.item())
    assert torch.equal(instance.module.bank.memory, before)


def test_weights_are_of_the_rotation_loss(shapes_data: Dataset) -> None:
    alone, weighted = task(shapes_data, instance_weight=0), task(shapes_data, instance_weight=0)
    weighted.weigh_copies(Plausibility(torch.full((40, 4), 0.5), alone.angles, IMAGES), "a run", IMAGES)
    batch = training_batch(shapes_data)
    for instance in (alone, weighted):
        instance.module.eval()
    assert weighted.step(batch).loss.item() < alone.step(batch).loss.item()


# --- The bank ---


def test_the_bank_begins_empty_with_a_place_for_every_training_image(shapes_data: Dataset) -> None:
    bank = task(shapes_data).module.bank
    assert bank.memory.shape == (40, 5)
    assert not bank.seen.any()


def test_images_not_seen_before_leave_finite_gradients(shapes_data: Dataset) -> None:
    instance = task(shapes_data)
    for seen in (0, 3):
        remember_all(instance.module.bank, but=tuple(range(seen, 40)))
        instance.module.zero_grad()
        instance.step(training_batch(shapes_data)).loss.backward()
        assert all(p.grad.isfinite().all() for p in instance.module.parameters() if p.grad is not None)


@pytest.mark.parametrize("momentum", [0.5, 0.0, 0.9])
def test_a_step_moves_the_images_of_the_batch_and_no_other(momentum: float, shapes_data: Dataset) -> None:
    """v_i becomes the normalised momentum * v_i + (1 - momentum) * f_i."""
    instance = task(shapes_data, momentum=momentum)
    instance.module.eval()
    remember_all(instance.module.bank)
    batch = training_batch(shapes_data)
    expected = instance.module.bank.memory.double().numpy().copy()
    for place, f in zip(batch.index.tolist(), mean_embeddings(instance, batch), strict=True):
        expected[place] = unit(momentum * expected[place] + (1 - momentum) * f)
    before = instance.module.bank.memory.clone()
    instance.step(batch).loss.backward()
    np.testing.assert_allclose(instance.module.bank.memory, expected, atol=1e-5)
    moved = (instance.module.bank.memory != before).any(dim=1)
    assert set(moved.nonzero().flatten().tolist()) == set(batch.index.tolist())


def test_few_labels_leave_no_stranger_in_the_bank(tiny: dict[str, Any]) -> None:
    """Instances are told apart from the images that are trained on, and from no other."""
    outcome = pretrain(PretrainConfig.build(tiny | {"task": "rotation-instance", "labels_per_class": 2, "arch": "nin3"}))
    assert load_tensors(outcome.directory.path / RESUME)[0]["module.bank.memory"].shape == (20, 128)


# --- Runs ---


def test_a_run_that_was_killed_ends_as_one_that_was_not(tiny: dict[str, Any]) -> None:
    """Bit for bit, the bank as well; killed in the second of three epochs."""
    parameters = tiny | {"task": "rotation-instance", "task_options": {"dimension": 4}, "arch": "nin3", "epochs": 3}
    whole = pretrain(PretrainConfig.build(parameters | {"runs": "whole"}))
    with killed(RotationInstance, 4):
        pretrain(PretrainConfig.build(parameters | {"runs": "killed"}))
    resumed = pretrain(PretrainConfig.build(parameters | {"runs": "killed"}))
    for name in (MODEL, RESUME):
        ours, theirs = (load_tensors(outcome.directory.path / name)[0] for outcome in (resumed, whole))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert ours["module.bank.memory"].shape == (40, 4)
    assert (ours["module.bank.memory"].norm(dim=1) > 0).equal(ours["module.bank.seen"])
    assert resumed.history["train_loss"].tolist() == whole.history["train_loss"].tolist()


def test_its_network_can_be_loaded_as_any_rotnet(pretrained: Pretrained, shapes_data: Dataset) -> None:
    run = pretrained(task="rotation-instance")
    network = load_network(run.path / MODEL, 32)
    tensors, _ = load_tensors(run.path / MODEL)
    assert network.classes == 4
    assert set(tensors) - set(network.state_dict()) == {"project.weight", "project.bias"}


@pytest.mark.parametrize("copies", ["shuffled", "one", "one-large-batch"])
def test_copies_must_share_a_batch(copies: str, tiny: dict[str, Any]) -> None:
    with pytest.raises(RotnetError, match=f"needs an image's copies in one batch: all, not '{copies}'"):
        PretrainConfig.build(tiny | {"task": "rotation-instance", "task_options": {"copies": copies}})
    assert not Path("runs").exists()
