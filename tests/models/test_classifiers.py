"""The probes' classifiers against the protocol's words."""

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import make_classifier

CONV2 = (192, 8, 8)


def structure(module: nn.Module) -> list[str]:
    """`["linear 200", "norm", "relu", ...]`: the layers that are no containers, in their order."""
    words = []
    for layer in module.modules():
        match layer:
            case nn.Linear():
                words.append(f"linear {layer.out_features}")
            case nn.Conv2d():
                words.append(f"conv {layer.kernel_size[0]}x{layer.kernel_size[1]} {layer.out_channels}")
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                words.append("norm" if layer.affine else "norm without affine")
            case nn.ReLU():
                words.append("relu")
            case nn.AdaptiveAvgPool2d():
                words.append(f"average to {layer.output_size}")
    return words


@pytest.mark.parametrize(("classes", "hidden"), [(10, 200), (100, 2000), (102, 2040), (103, 2048), (205, 2048)])
def test_the_nonlinear_probe_has_three_layers(classes: int, hidden: int) -> None:
    module = make_classifier("nonlinear", (4, 2, 2), classes, width=1.0)
    expected = [f"linear {hidden}", "norm", "relu", f"linear {hidden}", "norm", "relu", f"linear {classes}"]
    assert structure(module) == expected


def test_the_conv_probe_is_a_third_block() -> None:
    module = make_classifier("conv", CONV2, 10, width=1.0)
    block = ["conv 3x3 192", "norm", "relu", "conv 1x1 192", "norm", "relu", "conv 1x1 192", "norm", "relu"]
    assert structure(module) == [*block, "average to 1", "linear 10"]


def test_the_linear_probe_is_one_layer() -> None:
    assert structure(make_classifier("linear", CONV2, 10, width=1.0)) == ["norm without affine", "linear 10"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", 192 * 64 * 10 + 10),
        ("nonlinear", (192 * 64 * 200 + 2 * 200) + (200 * 200 + 2 * 200) + (200 * 10 + 10)),
        ("conv", (9 * 192 * 192 + 2 * 192 * 192 + 3 * 2 * 192) + (192 * 10 + 10)),
    ],
)
def test_parameter_counts_on_conv2(name: str, expected: int) -> None:
    module = make_classifier(name, CONV2, 10, width=1.0)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_only_the_conv_probe_follows_the_backbones_width() -> None:
    assert structure(make_classifier("conv", (48, 8, 8), 10, width=0.25))[0] == "conv 3x3 48"
    assert structure(make_classifier("nonlinear", (48, 8, 8), 10, width=0.25))[0] == "linear 200"


@pytest.mark.parametrize("name", ["linear", "nonlinear", "conv"])
def test_logits_of_a_map_that_is_not_square(name: str) -> None:
    module = make_classifier(name, (6, 5, 3), 7, width=0.05)
    logits = module(torch.randn(4, 6, 5, 3, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (4, 7)
    assert len(logits.unique()) > 4


def test_an_unknown_classifier_is_named() -> None:
    message = r"unknown classifier 'nonlinar'; did you mean 'nonlinear'\? Allowed: linear, nonlinear, conv\."
    with pytest.raises(RotnetError, match=message):
        make_classifier("nonlinar", CONV2, 10, width=1.0)
