"""A backbone rescaled by data: zero mean and unit variance behind every layer, and nothing else changed."""

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.seeds import seeded

SIDES = {"alexnet": 64, "nin4": 16}


def make(arch: str) -> Backbone:
    with seeded(0, "test"):
        return make_backbone(arch, width=0.05, mean=(120.0,) * 3, std=(60.0,) * 3)


def pictures(count: int, side: int, seed: int) -> torch.Tensor:
    """Random images with structure at several scales: (count, 3, side, side) uint8."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, side, side)
    for cells in (1, 4, 16):
        noise = torch.randn(count, 3, cells, cells, generator=rng)
        images += nn.functional.interpolate(noise, size=side, mode="nearest")
    return (127 + 40 * images).clamp(0, 255).byte()


def moments(backbone: Backbone, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mean and variance (biased) of every channel behind each batch norm, in evaluation mode."""
    found = []

    def note(_: nn.Module, __: object, output: torch.Tensor) -> None:
        rows = output.transpose(0, 1).flatten(1)
        found.append((rows.mean(1), rows.var(1, unbiased=False)))

    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(note) for norm in norms]
    with torch.no_grad():
        backbone.eval()(images)
    for hook in hooks:
        hook.remove()
    assert len(found) == len(norms) == {"alexnet": 7, "nin4": 12}[backbone.arch]
    return found


@pytest.mark.parametrize("arch", SIDES)
def test_every_layer_has_zero_mean_and_unit_variance_on_the_images(arch: str) -> None:
    backbone, images = make(arch), pictures(30, SIDES[arch], seed=0)
    assert all(variance.sub(1).abs().max() > 0.1 for _, variance in moments(backbone, images))  # not so before
    rescale_by_data(backbone, images)
    for mean, variance in moments(backbone, images):
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
        torch.testing.assert_close(variance, torch.ones_like(variance), atol=0.02, rtol=0)  # 1e-5 is added to a small one


@pytest.mark.parametrize("arch", SIDES)
def test_other_images_are_nearly_so(arch: str) -> None:
    backbone = make(arch)
    rescale_by_data(backbone, pictures(200, SIDES[arch], seed=0))
    for mean, variance in moments(backbone, pictures(200, SIDES[arch], seed=1)):
        assert mean.abs().mean() < 0.15
        assert abs(variance.mean() - 1) < 0.15


@pytest.mark.parametrize("training", [True, False])
def test_nothing_else_changes(training: bool) -> None:
    backbone = make("alexnet").train(training)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    rescale_by_data(backbone, pictures(4, 64, seed=0))
    changed = {name for name, tensor in backbone.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.endswith(("running_mean", "running_var"))}
    assert all(module.training == training for module in backbone.modules())
    assert not any(module._forward_pre_hooks for module in backbone.modules())
    assert all(m.momentum == 0.1 for m in backbone.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))


def test_one_image_is_too_few() -> None:
    backbone = make("nin4")
    with pytest.raises(RotnetError, match="at least 2 images, not 1"):
        rescale_by_data(backbone, pictures(1, 16, seed=0))


def test_a_pass_that_fails_leaves_no_trace() -> None:
    backbone = make("alexnet").train()
    with pytest.raises(RotnetError, match="at least 31x31"):
        rescale_by_data(backbone, pictures(2, 16, seed=0))
    assert backbone.training
    assert not any(module._forward_pre_hooks for module in backbone.modules())
