"""The probes' classifiers against the protocol's words."""

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.classifiers import make_classifier
from rotnet_lib.seeds import seeded

CONV2 = (192, 8, 8)
NAMES = ["linear", "nonlinear", "conv", "rest"]


def on(arch: str, width: float = 1.0) -> Backbone:
    return make_backbone(arch, width=width, mean=(0,) * 3, std=(1,) * 3)


@pytest.fixture(scope="module")
def nin4() -> Backbone:
    return on("nin4")


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
            case nn.MaxPool2d():
                words.append(f"max {layer.kernel_size}/{layer.stride}")
            case nn.AdaptiveMaxPool2d():
                words.append(f"max to {layer.output_size}")
            case nn.AdaptiveAvgPool2d():
                words.append(f"average to {layer.output_size}")
    return words


@pytest.mark.parametrize(("classes", "hidden"), [(10, 200), (100, 2000), (102, 2040), (103, 2048), (205, 2048)])
def test_the_nonlinear_probe_has_three_layers(nin4: Backbone, classes: int, hidden: int) -> None:
    module = make_classifier("nonlinear", nin4, "conv2", (4, 2, 2), classes)
    expected = [f"linear {hidden}", "norm", "relu", f"linear {hidden}", "norm", "relu", f"linear {classes}"]
    assert structure(module) == expected


BLOCK = ["conv 3x3 192", "norm", "relu", "conv 1x1 192", "norm", "relu", "conv 1x1 192", "norm", "relu"]


def test_the_conv_probe_is_a_third_block(nin4: Backbone) -> None:
    module = make_classifier("conv", nin4, "conv2", CONV2, 10)
    assert structure(module) == [*BLOCK, "average to 1", "linear 10"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", 192 * 49 * 10 + 10),
        ("nonlinear", (192 * 64 * 200 + 2 * 200) + (200 * 200 + 2 * 200) + (200 * 10 + 10)),
        ("conv", (9 * 192 * 192 + 2 * 192 * 192 + 3 * 2 * 192) + (192 * 10 + 10)),
        ("rest", 2 * (9 * 192 * 192 + 2 * 192 * 192 + 3 * 2 * 192) + (192 * 10 + 10)),
    ],
)
def test_parameter_counts_on_conv2(nin4: Backbone, name: str, expected: int) -> None:
    module = make_classifier(name, nin4, "conv2", CONV2, 10)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_only_the_nonlinear_probe_does_not_follow_the_backbones_width() -> None:
    nin = on("nin4", 0.25)
    assert structure(make_classifier("conv", nin, "conv2", (48, 8, 8), 10))[0] == "conv 3x3 48"
    assert structure(make_classifier("rest", nin, "conv2", (48, 8, 8), 10))[0] == "conv 3x3 48"
    assert structure(make_classifier("linear", nin, "conv2", (48, 8, 8), 10))[0] == "max to (7, 7)"
    assert structure(make_classifier("nonlinear", nin, "conv2", (48, 8, 8), 10))[0] == "linear 200"


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_a_map_that_is_not_square(name: str) -> None:
    nin = on("nin3", 0.05)
    module = make_classifier(name, nin, "conv2", (10, 5, 3), 7)
    logits = module(torch.randn(4, 10, 5, 3, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (4, 7)
    assert len(logits.unique()) > 4


def test_an_unknown_classifier_is_named(nin4: Backbone) -> None:
    message = r"unknown classifier 'nonlinar'; did you mean 'nonlinear'\? Allowed: linear, nonlinear, conv, rest\."
    with pytest.raises(RotnetError, match=message):
        make_classifier("nonlinar", nin4, "conv2", CONV2, 10)


# --- Linear: tables 5 and 6 ---


@pytest.mark.parametrize("width", [1.0, 0.5, 0.25])
@pytest.mark.parametrize(
    ("layer", "side", "elements"),
    [("conv1", 12, 9216), ("conv2", 7, 9408), ("conv3", 5, 9600), ("conv4", 6, 9216), ("conv5", 6, 9216)],
)
def test_the_linear_probes_of_alexnet_read_the_published_maps(layer: str, side: int, elements: int, width: float) -> None:
    alexnet = on("alexnet", width)
    module = make_classifier("linear", alexnet, layer, alexnet.shape(layer, 224), 1000)
    assert structure(module) == [f"max to ({side}, {side})", "norm without affine", "linear 1000"]
    last = list(module.modules())[-1]
    assert isinstance(last, nn.Linear)
    assert last.in_features == elements * width


@pytest.mark.parametrize(
    ("shape", "pooled"),
    [
        ((256, 3, 3), (3, 3)),  # no larger than the map
        ((192, 27, 5), (7, 5)),
        ((4096, 1, 1), (1, 1)),
        ((1024, 13, 13), (3, 3)),  # four views: as many elements as one
        ((16384, 1, 1), (1, 1)),  # never nothing
    ],
)
def test_the_pool_of_the_linear_probe_keeps_to_its_elements(shape: tuple[int, int, int], pooled: tuple[int, int]) -> None:
    module = make_classifier("linear", on("nin3", 1.0), "conv3", shape, 2)
    assert structure(module)[0] == f"max to {pooled}"


def test_the_linear_probe_is_a_pool_a_norm_and_a_product(nin4: Backbone) -> None:
    with seeded(0):
        module = make_classifier("linear", nin4, "conv2", CONV2, 10)
        maps = torch.randn(6, *CONV2)
    pooled = nn.functional.adaptive_max_pool2d(maps, 7)
    normed = (pooled - pooled.mean((0, 2, 3), keepdim=True)) / (
        pooled.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    weight, bias = module.parameters()
    torch.testing.assert_close(module(maps), normed.flatten(1) @ weight.T + bias, rtol=1e-4, atol=1e-4)


# --- Rest: table 4, frozen stem ---

FULLY_CONNECTED = ["max to 6", "linear 4096", "norm", "relu", "linear 4096", "norm", "relu", "average to 1", "linear 1000"]
"""Alexnet_conv5 of the authors' NonLinearClassifier: pool, 9216-4096-4096-1000. The average is over a single pixel."""


@pytest.mark.parametrize(
    ("layer", "before"),
    [
        ("conv5", []),
        ("conv4", ["conv 3x3 256", "norm", "relu"]),  # Alexnet_conv4
        ("conv2", ["max 3/2", *(word for c in (384, 256, 256) for word in (f"conv 3x3 {c}", "norm", "relu"))]),
    ],
)
def test_the_rest_of_an_alexnet_is_the_authors_nonlinear_classifier(layer: str, before: list[str]) -> None:
    alexnet = on("alexnet")
    alexnet.cut_after(layer)
    module = make_classifier("rest", alexnet, layer, alexnet.shape(layer, 224), 1000)
    assert structure(module) == [*before, *FULLY_CONNECTED]
    shapes = [tuple(m.weight.shape) for m in module.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(4096, 9216), (4096, 4096), (1000, 4096)]


def test_the_rest_of_a_nin_of_three_blocks_is_the_conv_probe() -> None:
    nin3 = on("nin3")
    rest, conv = (make_classifier(name, nin3, "conv2", CONV2, 10) for name in ("rest", "conv"))
    assert structure(rest) == structure(conv)
    shapes = [[p.shape for p in module.parameters()] for module in (rest, conv)]
    assert shapes[0] == shapes[1]


def test_above_the_last_layer_there_is_only_the_head(nin4: Backbone) -> None:
    assert structure(make_classifier("rest", nin4, "conv4", CONV2, 10)) == ["average to 1", "linear 10"]


def test_the_rest_starts_afresh_and_leaves_the_backbone_alone() -> None:
    with seeded(0):
        alexnet = on("alexnet", 0.05)
    before = {name: tensor.clone() for name, tensor in alexnet.state_dict().items()}
    shape = alexnet.shape("conv4", 64)
    with seeded(1):
        rest = make_classifier("rest", alexnet, "conv4", shape, 10)
    own = {id(p) for p in alexnet.parameters()}
    assert not any(id(p) in own for p in rest.parameters())
    fresh = next(p for p in rest.parameters() if p.dim() == 4)
    assert fresh.shape == before["blocks.conv5.0.weight"].shape
    assert not torch.equal(fresh, before["blocks.conv5.0.weight"])
    rest(torch.randn(3, *shape)).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in alexnet.state_dict().items())


def test_the_rest_takes_no_concatenated_views() -> None:
    alexnet = on("alexnet", 0.05)
    with pytest.raises(RotnetError, match=r"'rest' takes the 13 channels of conv4 .* not 52: average .*combine=average"):
        make_classifier("rest", alexnet, "conv4", (52, 3, 3), 10)


def test_the_rest_takes_no_map_that_is_too_small_for_its_blocks() -> None:
    alexnet = on("alexnet", 0.05)
    alexnet.cut_after("conv1")
    shape = alexnet.shape("conv1", 31)
    assert make_classifier("rest", alexnet, "conv1", shape, 10)(torch.zeros(2, *shape)).shape == (2, 10)
    told = r"'rest': the blocks of alexnet above conv1 take maps of at least 7x7, not 6x6: raise image_size, or take another"
    with pytest.raises(RotnetError, match=told):
        make_classifier("rest", alexnet, "conv1", alexnet.shape("conv1", 30), 10)
