"""Noise as targets: who has which target, when targets are reassigned, what is measured."""

from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.pretext.parts.noise_targets import noise_targets
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from tests.pretext.made import batch_of, made_task, random_data
from tests.training.toys import epoch


def rows_of(task: Any) -> torch.Tensor:
    rows: torch.Tensor = task.module.get_buffer("rows")
    return rows


def started(number: int = 0, **options: Any) -> Any:
    task = made_task("nat", random_data(32, 24), **({"dimension": 16} | options))
    task.before_epoch(epoch(number, 9))
    return task


def test_every_image_has_a_target_of_its_own_for_good() -> None:
    task, before = started(), rows_of(started()).clone()
    assert sorted(before.tolist()) == list(range(24))
    assert before.tolist() != list(range(24))
    batch = batch_of(random_data(32, 24), 10)
    task.step(batch)
    after = rows_of(task)
    assert sorted(after.tolist()) == list(range(24))
    assert not torch.equal(after, before)
    others = torch.ones(24, dtype=torch.bool).index_fill(0, batch.index, False)
    assert torch.equal(after[others], before[others])


def test_reassigning_lowers_the_loss_and_is_done_when_it_was_done() -> None:
    """Of every third epoch, counted from 0, the first too."""
    batch = batch_of(random_data(32, 24), 24)
    fixed, reassigned = started(), started()
    fixed.reassigning = False
    before, after = fixed.step(batch).loss, reassigned.step(batch).loss
    assert after < before - 0.1
    assert torch.equal(reassigned.step(batch).loss, after)  # nothing better is left (batch norm is by the batch)


@pytest.mark.parametrize(("number", "reassigns"), [(0, True), (1, False), (2, False), (3, True), (6, True), (7, False)])
def test_targets_are_reassigned_in_every_third_epoch(number: int, reassigns: bool) -> None:
    task = started()
    task.before_epoch(epoch(number, 9))
    before = rows_of(task).clone()
    task.step(batch_of(random_data(32, 24), 24))
    assert torch.equal(rows_of(task), before) != reassigns


def test_the_loss_is_the_squared_distance_to_the_targets() -> None:
    task = started()
    task.reassigning = False
    batch = batch_of(random_data(32, 24), 12)
    task.module.eval()
    features = task.features(batch.images)
    targets = noise_targets(rows_of(task)[batch.index], 16)
    step = task.step(batch)
    torch.testing.assert_close(step.loss, (features - targets).square().sum(1).mean())
    torch.testing.assert_close(step.values["nat_cosine"], (features * targets).sum(1))
    assert step.values["nat_top1"].tolist() == ((features @ targets.T).argmax(1) == torch.arange(12)).tolist()


def test_a_network_that_knows_the_targets_has_no_loss() -> None:
    task = started()
    task.reassigning = False
    batch = batch_of(random_data(32, 24), 12)
    task.features = lambda images: noise_targets(rows_of(task)[batch.index], 16)
    step = task.step(batch)
    assert step.loss.item() == pytest.approx(0, abs=1e-6)
    assert step.values["nat_top1"].all()


def test_the_test_loss_is_two_where_all_images_have_one_feature() -> None:
    """Whatever is matched with what: the targets' mean is about 0."""
    task, batch = started(dimension=2048), batch_of(random_data(32, 24), 24)
    spread = task.evaluate(batch).loss
    task.features = lambda images: noise_targets(torch.zeros(24, dtype=torch.int64), 2048)
    collapsed = task.evaluate(batch).loss.item()
    assert collapsed == pytest.approx(2, abs=0.02)
    assert spread < collapsed


def test_its_rate_is_for_the_sum_over_a_batch() -> None:
    """The authors' rate of 0.01, as the protocol has it, moves weights by the gradient of the summed loss."""
    task = started()
    config = PretrainConfig.build({"task": "nat", "arch": "nin4"})
    assert (config.lr, config.momentum, config.weight_decay, config.batch_size) == (0.01, 0, 0, 256)
    [optimizer] = task.optimizers(config)
    [group] = optimizer.param_groups
    assert (group["lr_factor"], group["momentum"], group["weight_decay"]) == (256, 0, 0)


def test_it_reads_the_gradient_if_asked_to(tiny: dict[str, Any]) -> None:
    run = pretrain(
        PretrainConfig.build(tiny | {"task": "nat", "arch": "nin3", "task_options": {"input": "gradient", "dimension": 8}})
    )
    run.save()
    weights = run.directory.path / MODEL
    backbone = load_backbone(weights)
    assert backbone.inputs == "gradient"
    assert next(layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)).in_channels == 2
    assert not any(name.endswith("rows") for name in load_tensors(weights)[0])  # they are no part of the weights


def test_its_pictures_show_what_the_network_sees_and_the_nearest_image() -> None:
    batch = batch_of(random_data(32, 6))
    for kind, count in (("rgb", 2), ("gradient", 4)):
        task = made_task("nat", random_data(32, 6), dimension=16, input=kind)
        task.module.eval()
        for example, image in zip(task.examples(batch), batch.images, strict=True):
            assert len(example.pictures) == example.columns == count
            assert (example.pictures[0] == image.permute(1, 2, 0).numpy()).all()
            assert any((example.pictures[-1] == other.permute(1, 2, 0).numpy()).all() for other in batch.images)
            assert (example.pictures[-1] != example.pictures[0]).any()
