"""Batch norm folded into the layer before it computes the same."""

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import first_filters, fold, fold_batch_norm
from rotnet_lib.seeds import seeded
from tests.models.own import own_backbone


def used(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """A batch norm as training leaves it, gamma of either sign."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 2)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return norm.eval()


def backbone_in_use(arch: str, seed: int = 0) -> Backbone:
    """A narrow backbone whose batch norms all do something, as after training."""
    with seeded(seed, "test"):
        backbone = make_backbone(arch, width=0.05, mean=(120.0, 110.0, 100.0), std=(60.0,) * 3)
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                used(module)
    return backbone


def pictures(side: int) -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("arch", "side"), [("alexnet", 64), ("alexnet", 97), ("nin3", 16), ("nin5", 9)])
def test_a_folded_backbone_does_what_it_did_at_every_tap(arch: str, side: int) -> None:
    backbone = backbone_in_use(arch).eval()
    folded = fold(backbone)
    images = pictures(side)
    with torch.no_grad():
        before, after = backbone.features(images, backbone.taps), folded.features(images, folded.taps)
    for tap in backbone.taps:
        spread = before[tap].std().item()
        assert spread > 0
        torch.testing.assert_close(after[tap], before[tap], atol=1e-5 * max(spread, 1), rtol=1e-4)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folded.modules())
    assert all(layer.bias is not None for layer in folded.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    assert (folded.arch, folded.width, folded.taps) == (backbone.arch, backbone.width, backbone.taps)


@pytest.mark.parametrize("training", [False, True])
def test_folding_a_backbone_leaves_it_as_it_was(training: bool) -> None:
    backbone = backbone_in_use("alexnet").train(training)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    folded = fold(backbone)
    after = backbone.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    shared = {tensor.data_ptr() for tensor in before.values()} & {tensor.data_ptr() for tensor in folded.state_dict().values()}
    assert not shared
    assert all(module.training == training for b in (backbone, folded) for module in b.modules())
    assert not any(module._forward_hooks for b in (backbone, folded) for module in b.modules())
    assert all(parameter.requires_grad for parameter in folded.parameters())


def test_the_state_of_a_folded_backbone_loads_into_another() -> None:
    folded, other = fold(backbone_in_use("alexnet")), fold(backbone_in_use("alexnet", seed=1))
    images = pictures(64)
    assert not torch.equal(folded(images), other(images))
    other.load_state_dict(folded.state_dict())
    assert torch.equal(folded(images), other(images))


def test_a_folded_backbone_folds_to_itself() -> None:
    folded = fold(backbone_in_use("nin3"))
    again = fold(folded)
    assert all(torch.equal(a, b) for a, b in zip(folded.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize("front", [nn.ReLU(inplace=True), nn.ReLU(), nn.MaxPool2d(1)])
def test_a_batch_norm_behind_something_else_is_named(front: nn.Module) -> None:
    stack: dict[str, nn.Module] = {"conv1": nn.Conv2d(3, 4, 1), "conv2": nn.Sequential(front, nn.BatchNorm2d(4))}
    backbone = own_backbone(stack, (0,) * 3, (1,) * 3)
    with pytest.raises(RotnetError, match=r"own: the batch norm blocks\.conv2\.1 cannot be folded"):
        fold(backbone)


def test_a_layer_used_twice_does_not_fold() -> None:
    conv = nn.Conv2d(3, 3, 1)
    stack: dict[str, nn.Module] = {"conv1": nn.Sequential(conv, nn.BatchNorm2d(3)), "conv2": nn.Sequential(conv)}
    backbone = own_backbone(stack, (0,) * 3, (1,) * 3)
    with pytest.raises(RotnetError, match="used once"):
        fold(backbone)


def test_modules_fold_in_the_order_of_use_not_of_making() -> None:
    class Reversed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = used(nn.BatchNorm2d(4))
            self.second, self.first = nn.Conv2d(5, 4, 3), nn.Conv2d(3, 5, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.second(self.first(x)))

    with seeded(0):
        backbone = own_backbone({"conv1": Reversed()}).eval()
    images = pictures(5)
    torch.testing.assert_close(fold(backbone)(images), backbone(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_folded_convolution_does_what_both_did(bias: bool, affine: bool, groups: int) -> None:
    with seeded(0):
        conv = nn.Conv2d(4, 6, 3, padding=1, bias=bias, groups=groups)
        norm = used(nn.BatchNorm2d(6, affine=affine))
        x = torch.randn(2, 4, 7, 5)
    weight, shift = fold_batch_norm(conv, norm)
    folded = nn.functional.conv2d(x, weight, shift, padding=1, groups=groups)
    torch.testing.assert_close(folded, norm(conv(x)), atol=1e-5, rtol=1e-5)


def test_a_folded_linear_layer_does_what_both_did() -> None:
    with seeded(0):
        linear, norm, x = nn.Linear(4, 6), used(nn.BatchNorm1d(6)), torch.randn(3, 4)
    weight, shift = fold_batch_norm(linear, norm)
    torch.testing.assert_close(nn.functional.linear(x, weight, shift), norm(linear(x)), atol=1e-5, rtol=1e-5)


def test_folding_leaves_the_layers_as_they_were() -> None:
    conv, norm = nn.Conv2d(3, 2, 1), used(nn.BatchNorm2d(2))
    before = [tensor.clone() for tensor in (*conv.state_dict().values(), *norm.state_dict().values())]
    weight, shift = fold_batch_norm(conv, norm)
    assert not weight.requires_grad
    assert not shift.requires_grad
    after = [*conv.state_dict().values(), *norm.state_dict().values()]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_first_filters_are_those_of_conv1() -> None:
    with seeded(0):
        backbone = make_backbone("nin3", width=0.05, mean=(127.0,) * 3, std=(60.0,) * 3).eval()
    block = backbone.blocks["conv1"]
    assert isinstance(block, nn.Sequential)
    conv, norm = block[0], block[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        norm.weight[0] = -2
    filters = first_filters(backbone)
    assert filters.shape == (10, 3, 5, 5)
    torch.testing.assert_close(filters[0], -2 * conv.weight[0].detach(), atol=0, rtol=1e-4)
