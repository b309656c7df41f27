"""Batch norm folded into the layer before it computes the same."""

import pytest
import torch
from torch import nn

from rotnet_lib.models import make_backbone
from rotnet_lib.models.folding import first_filters, fold_batch_norm
from rotnet_lib.seeds import seeded


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
