"""DCGAN: the networks' shapes, each player's gradient, what is measured and kept, and bad input."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import make_backbone
from rotnet_lib.models.dcgan import CHANNELS
from rotnet_lib.pretext.dcgan import Dcgan
from rotnet_lib.pretext.parts.dcgan_network import Generator
from rotnet_lib.pretext.parts.latents import drawn_latents
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig, pretrain
from rotnet_lib.suites.plan import Options, Plan, make_plan
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.checkpoints import load_backbone, load_tensors
from rotnet_lib.training.optimizers import trained
from tests.pretext.made import batch_of, made_task, random_data
from tests.training.toys import epoch
from tests.training.weights import killed, whole_and_resumed


def task_of(side: int = 32, count: int = 8, **options: Any) -> Any:
    return made_task("dcgan", random_data(side, count), "dcgan", **({"latent": 10} | options))


def test_the_features_of_all_layers_pooled_to_4_x_4_are_28_672() -> None:
    """The authors' number, of a discriminator at full width, which widths of 128 to 512 were derived from."""
    backbone = make_backbone("dcgan", width=1.0, mean=(0,) * 3, std=(1,) * 3)
    maps = backbone.features(torch.zeros(1, 3, 32, 32), backbone.taps)
    assert [tuple(found.shape[1:]) for found in maps.values()] == [
        (128, 32, 32),
        (128, 16, 16),
        (256, 16, 16),
        (256, 8, 8),
        (512, 8, 8),
        (512, 4, 4),
    ]
    pooled = [nn.functional.adaptive_max_pool2d(found, 4).flatten(1) for found in maps.values()]
    assert torch.cat(pooled, 1).shape == (1, 28_672)
    assert sum(CHANNELS) == 1792


@pytest.mark.parametrize("side", [8, 24, 32, 64])
def test_pictures_have_the_side_and_the_range_of_images(side: int) -> None:
    generator = Generator(7, side, 0.05)
    pictures = generator(20 * torch.randn(4, 7))
    assert pictures.shape == (4, 3, side, side)
    assert pictures.abs().max() <= 1
    task = task_of(side)
    made = task.made(torch.zeros(2, 10))
    assert made.shape == (2, 3, side, side)
    torch.testing.assert_close(task.module.backbone.normalize(made), task.module.generator(torch.zeros(2, 10)))


def test_the_discriminator_sees_images_in_the_range_of_tanh() -> None:
    seen = task_of().module.backbone.normalize(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1))
    assert seen[:, 0, 0, 0].tolist() == [-1, 1]


def test_weights_start_small() -> None:
    module = made_task("dcgan", random_data(32, 4), "dcgan").module
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 1000:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.05)
            assert layer.bias.abs().max() == 0


def test_a_discriminator_that_cannot_tell_loses_2_log_2() -> None:
    task = task_of()
    for parameter in task.module.unit.parameters():
        nn.init.zeros_(parameter)
    step = task.step(batch_of(random_data(32, 8), 8))
    assert step.terms["loss_discriminator"].item() == pytest.approx(2 * math.log(2))
    assert step.terms["loss_generator"].item() == pytest.approx(math.log(2))
    assert step.loss.item() == pytest.approx(3 * math.log(2))
    assert step.values["real_score"].tolist() == step.values["fake_score"].tolist() == [0.5] * 8


def test_one_backward_gives_each_player_the_gradient_of_its_own_loss() -> None:
    """Compared with two passes, each through the whole of both players, of which only one player's gradients are taken."""
    one, two = task_of(), task_of()
    batch, same = batch_of(random_data(32, 8), 8), batch_of(random_data(32, 8), 8)
    one.step(batch).loss.backward()
    made = two.made(drawn_latents(same, 10))
    generator = list(two.module.generator.parameters())
    discriminator = [*two.module.backbone.parameters(), *two.module.unit.parameters()]
    real, fake = two.module(same.images), two.module(made)
    of_discriminator = torch.autograd.grad(
        nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean(), discriminator, retain_graph=True
    )
    of_generator = torch.autograd.grad(nn.functional.softplus(-fake).mean(), generator)
    players = [*one.module.backbone.parameters(), *one.module.unit.parameters(), *one.module.generator.parameters()]
    for parameter, expected in zip(players, (*of_discriminator, *of_generator), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-9)
        assert expected.abs().sum() > 0


def test_the_running_statistics_are_those_of_images() -> None:
    task, same = task_of(), task_of()
    batch = batch_of(random_data(32, 8), 8)
    task.step(batch)
    same.module.backbone(batch.images)
    for name, buffer in same.module.backbone.named_buffers():
        assert torch.equal(task.module.backbone.get_buffer(name), buffer), name


def test_each_player_has_an_adam(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build({"task": "dcgan", "arch": "dcgan"})
    assert (config.lr, config.momentum, config.batch_size, config.schedule) == (2e-4, 0.5, 128, "step")
    task = task_of()
    discriminator, generator = task.optimizers(config)
    assert all(isinstance(player, torch.optim.Adam) for player in (discriminator, generator))
    assert discriminator.defaults["betas"] == generator.defaults["betas"] == (0.5, 0.999)
    assert {id(p) for p in trained(generator)} == {id(p) for p in task.module.generator.parameters()}
    assert len(trained(discriminator)) + len(trained(generator)) == len(list(task.module.parameters()))


def test_a_collapsed_generator_shows() -> None:
    task = task_of()
    batch = batch_of(random_data(32, 8), 8)
    nn.init.zeros_(task.module.generator.layers[0].weight)
    assert task.step(batch).values["distinct_samples"].sum() == 0
    task.module.eval()
    assert task.evaluate(batch).values["distinct_samples"].sum() == 0
    task.module.generator.layers = nn.Unflatten(1, (3, 32, 32))  # as many latents as pixels: noise
    task.latent = 3 * 32 * 32
    assert task.evaluate(batch).values["distinct_samples"].mean() == 1


def test_rows_are_of_the_same_latents_and_change_as_it_learns() -> None:
    task = task_of()
    task.before_epoch(epoch(0, 4))
    task.module.eval()
    first = [picture.copy() for picture in task.charts()[0].pictures]
    task.module.train()
    nn.init.normal_(task.module.generator.layers[0].weight)
    task.before_epoch(epoch(1, 4))
    assert task.module.training
    task.module.eval()
    before, after, now = task.charts()
    assert all((a == b).all() for a, b in zip(before.pictures, first, strict=True))
    assert any((a != b).any() for a, b in zip(before.pictures, after.pictures, strict=True))
    assert all((a == b).all() for a, b in zip(after.pictures, now.pictures, strict=True))


def test_a_killed_run_shows_the_rows_of_one_that_was_not(tiny: dict[str, Any]) -> None:
    """It dies in its third epoch of three steps. Both players' moments are resumed, and the pictures kept before."""
    parameters = tiny | {"task": "dcgan", "arch": "dcgan", "batch_size": 4, "epochs": 4, "train_size": 12}
    runs = whole_and_resumed(parameters, killed(Dcgan, call=8))
    seen = [(outcome.directory.path / "seen.json").read_text() for outcome in runs]
    assert seen[0] == seen[1]
    assert seen[0].count('"samples, after epoch') == 3


def test_probes_read_the_discriminator_alone(tiny: dict[str, Any]) -> None:
    run = pretrain(PretrainConfig.build(tiny | {"task": "dcgan", "arch": "dcgan"}))
    run.save()
    backbone = load_backbone(run.directory.path / MODEL)
    assert (backbone.inputs, backbone.arch) == ("rgb-tanh", "dcgan")
    assert any(name.startswith("generator.") for name in load_tensors(run.directory.path / MODEL)[0])
    assert not any(name.startswith("rows.") for name in load_tensors(run.directory.path / MODEL)[0])


# --- Bad input ---


@pytest.mark.parametrize(("side", "nearest"), [(30, 32), (27, 24), (3, 8), (33, 32)])
def test_a_side_that_no_generator_has_is_refused_with_the_nearest(side: int, nearest: int) -> None:
    with pytest.raises(
        RotnetError, match=rf"image_size: .* multiple of 8, 8 or more, and {side} pixels are none\. The nearest is {nearest}\."
    ):
        task_of(side)
    task_of(nearest)


@pytest.mark.parametrize("latent", [0, -3, 1.5, True, "many"])
def test_a_latent_of_no_size_is_refused(latent: Any) -> None:
    with pytest.raises(RotnetError, match=r"task_options\.latent"):
        configure(
            "pretrain", {"task": "dcgan", "arch": "dcgan", "dataset": "shapes", "task_options": {"latent": latent}}, "quick"
        )


def test_another_network_is_refused() -> None:
    with pytest.raises(RotnetError, match=r"arch: task 'dcgan' cannot train nin4\. Take one of: dcgan"):
        PretrainConfig.build({"task": "dcgan", "arch": "nin4"})


def test_tables_of_other_networks_have_no_row_of_it() -> None:
    told = (
        "METHODS: dcgan trains dcgan, and the rows here are of alexnet. Leave it out. Methods that can have rows here: rotnet,"
    )
    with pytest.raises(RotnetError, match=re.escape(told)):
        make_plan("table5", Options(preset="quick", methods="rotnet,dcgan"))
    every = make_plan("table5", Options(preset="quick", methods="all"))
    assert isinstance(every, Plan)
    assert "dcgan" not in {run.key for run in every.runs}
    assert "jigsaw" in {run.key for run in every.runs}
    small = make_plan("table3", Options(preset="quick", methods="dcgan"))
    assert isinstance(small, Plan)
    assert {"dcgan", "dcgan-conv", "finetuned-dcgan-conv"} <= {run.key for run in small.runs}


def test_a_set_of_one_image_is_refused() -> None:
    with pytest.raises(RotnetError, match=r"train_size: the task needs at least 2 images in each split"):
        task_of(32, 1)
