"""BiGAN: pairs, each player's gradient, who sees what at which size, reconstructions, and bad input."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.pretext.bigan import Bigan
from rotnet_lib.pretext.parts.bigan_network import Generator, PairDiscriminator, halvings
from rotnet_lib.pretext.parts.latents import drawn_latents
from rotnet_lib.runs.directory import MODEL
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.suites.resolve import configure
from rotnet_lib.training.checkpoints import load_backbone
from rotnet_lib.training.optimizers import trained
from rotnet_lib.training.schedules import learning_rate
from tests.pretext.made import batch_of, made_task, random_data
from tests.training.weights import killed, whole_and_resumed


def task_of(size: int = 24, arch: str = "nin3", **options: Any) -> Any:
    return made_task("bigan", random_data(size, 8), arch, **({"latent": 10} | options))


@pytest.mark.parametrize(("side", "count"), [(16, 2), (24, 3), (32, 3), (40, 3), (48, 4), (56, 3), (64, 4), (128, 4)])
def test_pictures_are_halved_down_to_a_small_map(side: int, count: int) -> None:
    assert halvings(side) == count
    generator, discriminator = Generator(7, side, 0.05), PairDiscriminator(7, side, 0.05)
    latents = 5 * torch.randn(4, 7)
    pictures = generator(latents)
    assert pictures.shape == (4, 3, side, side)
    assert pictures.abs().max() <= 1
    assert len(generator.layers) == count
    assert discriminator(pictures, latents).shape == (4,)


def test_the_published_networks_have_the_published_channels() -> None:
    generator, discriminator = Generator(200, 64, 1.0), PairDiscriminator(200, 64, 1.0)
    assert [layer.conv.in_channels for layer in generator.layers] == [512, 256, 128, 64]
    assert [discriminator.first[0].out_channels, *(layer.conv.out_channels for layer in discriminator.layers)] == [
        64,
        128,
        256,
        512,
    ]


def test_every_layer_but_the_discriminators_first_sees_the_latent() -> None:
    generator, discriminator = Generator(7, 64, 0.05), PairDiscriminator(7, 64, 0.05)
    latents = torch.randn(4, 7)
    discriminator(generator(latents), latents).square().sum().backward()
    for layer in [*generator.layers, *discriminator.layers]:
        assert layer.of_latent.weight.grad.abs().sum() > 0


def test_a_discriminator_that_cannot_tell_loses_log_2() -> None:
    task = task_of()
    for parameter in task.module.discriminator.unit.parameters():
        nn.init.zeros_(parameter)
    step = task.step(batch_of(random_data(24, 8), 8))
    assert step.terms["loss_discriminator"].item() == pytest.approx(math.log(2))
    assert step.terms["loss_encoder_generator"].item() == pytest.approx(math.log(2))
    assert step.loss.item() == pytest.approx(2 * math.log(2))


def test_one_backward_gives_each_player_the_gradient_of_its_own_loss() -> None:
    """Compared with two passes through all players, of which only one player's gradients are taken."""
    one, two = task_of(), task_of()
    batch, same = batch_of(random_data(24, 8), 8), batch_of(random_data(24, 8), 8)
    one.step(batch).loss.backward()
    module, softplus = two.module, nn.functional.softplus
    latents = drawn_latents(same, 10)
    real = module.discriminator(module.small(same.images), module.encoded(same.images))
    fake = module.discriminator(module.generator(latents), latents)
    critic = dict(module.discriminator.named_parameters(prefix="discriminator"))
    others = {name: parameter for name, parameter in module.named_parameters() if name not in critic}
    tells = (softplus(-real) + softplus(fake)).mean() / 2
    passes = (softplus(real) + softplus(-fake)).mean() / 2
    expected = [
        *zip(critic, torch.autograd.grad(tells, list(critic.values()), retain_graph=True), strict=True),
        *zip(others, torch.autograd.grad(passes, list(others.values())), strict=True),
    ]
    assert {name.partition(".")[0] for name in others} == {"backbone", "code", "generator"}
    found = dict(one.module.named_parameters())
    for name, gradient in expected:
        assert found[name].grad is not None
        torch.testing.assert_close(found[name].grad, gradient, rtol=1e-4, atol=1e-8)
        assert gradient.abs().sum() > 0, name


def test_codes_have_the_range_of_latents() -> None:
    task = task_of()
    nn.init.normal_(task.module.code.weight, std=100)
    codes = task.module.encoded(batch_of(random_data(24, 8), 8).images)
    assert codes.shape == (8, 10)
    assert codes.min() >= -1
    assert codes.max() <= 1
    assert codes.min() < -0.9
    assert codes.max() > 0.9


def test_generator_and_discriminator_see_large_images_shrunk() -> None:
    """The encoder sees them as they are."""
    task = task_of(64, "alexnet", side=32)
    images = batch_of(random_data(64, 8), 8).images
    small = task.module.small(images)
    expected = nn.functional.avg_pool2d(images.float(), 2) / 127.5 - 1
    torch.testing.assert_close(small, expected, rtol=0, atol=1e-5)
    assert task.made(torch.zeros(2, 10)).shape == (2, 3, 32, 32)
    assert task.module.code.in_features == task.module.backbone(images).flatten(1).shape[1]
    assert task.module.backbone.taps[-1] == "conv5"
    as_they_are = task_of(24)
    images = batch_of(random_data(24, 8), 8).images
    assert torch.equal(as_they_are.module.small(images), images / 127.5 - 1)


def test_the_error_of_a_reconstruction_is_one_for_the_mean_colour() -> None:
    task = task_of()
    images = batch_of(random_data(24, 8), 8).images
    for parameter in task.module.generator.layers[-1].parameters():
        nn.init.zeros_(parameter)  # grey, the mean of the made data
    step = task.step(batch_of(random_data(24, 8), 8))
    expected = ((images - 127.5) / task.module.backbone.normalize.std).square().mean((1, 2, 3))
    torch.testing.assert_close(step.values["reconstruction_error"], expected, rtol=1e-4, atol=1e-4)
    assert step.values["distinct_samples"].sum() == 0


def test_biases_and_gains_do_not_decay_and_the_rate_falls_to_a_hundredth(tiny: dict[str, Any]) -> None:
    config = PretrainConfig.build({"task": "bigan", "arch": "alexnet"})
    assert (config.lr, config.momentum, config.batch_size, config.weight_decay) == (2e-4, 0.5, 128, 2.5e-5)
    rates = [learning_rate(config, epoch, 1) for epoch in range(100)]
    assert rates[:50] == [2e-4] * 50
    assert rates[99] == pytest.approx(2e-6)
    assert rates[60] / rates[59] == pytest.approx(rates[90] / rates[89])
    players = task_of().optimizers(config)
    for player in players:
        decays, stays = player.param_groups
        assert (decays["weight_decay"], stays["weight_decay"]) == (2.5e-5, 0.0)
        assert all(p.dim() > 1 for p in decays["params"])
        assert all(p.dim() == 1 for p in stays["params"])
        assert player.defaults["betas"] == (0.5, 0.999)
    task = task_of()
    critic, others = task.optimizers(config)
    assert {id(p) for p in trained(critic)} == {id(p) for p in task.module.discriminator.parameters()}
    assert len(trained(critic)) + len(trained(others)) == len(list(task.module.parameters()))


def test_a_killed_run_shows_the_rows_of_one_that_was_not(tiny: dict[str, Any]) -> None:
    """It dies in its third epoch of three steps. All players' moments are resumed, and the pictures kept before."""
    parameters = tiny | {"task": "bigan", "arch": "nin3", "batch_size": 4, "epochs": 4, "train_size": 12}
    runs = whole_and_resumed(parameters, killed(Bigan, call=8))
    seen = [(outcome.directory.path / "seen.json").read_text() for outcome in runs]
    assert seen[0] == seen[1]
    for text in ("samples, after epoch", "reconstructions, after epoch"):
        assert seen[0].count(text) == 3
    assert seen[0].count("images to be reconstructed") == 1
    backbone = load_backbone(runs[0].directory.path / MODEL)
    assert (backbone.inputs, backbone.taps) == ("rgb", ("conv1", "conv2", "conv3"))


# --- Bad input ---


@pytest.mark.parametrize(("side", "nearest"), [(30, 32), (27, 24), (8, 16), (60, 64)])
def test_a_side_that_no_generator_has_is_refused_with_the_nearest(side: int, nearest: int) -> None:
    message = rf"image_size: .* multiple of 8, 16 or more, and {side} pixels are none\. The nearest is {nearest}\."
    with pytest.raises(RotnetError, match=message):
        task_of(side)
    task_of(nearest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": 0}, r"task_options\.latent: .*greater than or equal to 1"),
        ({"side": 60}, r"task_options\.side: .*multiple of 8"),
        ({"side": 8}, r"task_options\.side: .*greater than or equal to 16"),
        ({"sides": 32}, r"unknown task option 'sides' of bigan; did you mean 'side'\?"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RotnetError, match=message):
        configure("pretrain", {"task": "bigan", "arch": "nin4", "dataset": "shapes", "task_options": options}, "quick")


def test_images_that_are_too_small_for_the_network_are_refused() -> None:
    with pytest.raises(RotnetError, match=r"alexnet takes images of at least 31x31 pixels, not 24x24: raise image_size"):
        task_of(24, "alexnet")
