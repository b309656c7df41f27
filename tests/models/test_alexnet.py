"""AlexNet against the protocol's words and a forward pass written out with plain functions."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.errors import RotnetError
from rotnet_lib.models import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.network import Network
from rotnet_lib.seeds import seeded
from rotnet_lib.training.checkpoints import load_network, save_backbone

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def make(width: float = 1.0) -> Backbone:
    with seeded(0, "test"):
        return make_backbone("alexnet", width=width, mean=MEAN, std=STD)


@pytest.fixture(scope="module")
def alexnet() -> Backbone:
    return make().eval()


@pytest.fixture
def narrow() -> Backbone:
    return make(0.05).eval()


def pictures(count: int, side: int, breadth: int | None = None) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, breadth or side), generator=rng, dtype=torch.uint8)


@pytest.mark.parametrize(("side", "widths"), [(224, (55, 27, 13, 13, 13)), (64, (15, 7, 3, 3, 3)), (31, (7, 3, 1, 1, 1))])
def test_taps_have_the_published_shapes(alexnet: Backbone, side: int, widths: tuple[int, ...]) -> None:
    with torch.no_grad():
        features = alexnet.features(torch.zeros(2, 3, side, side, dtype=torch.uint8), alexnet.taps)
    expected = {
        f"conv{number}": (2, channels, width, width)
        for number, channels, width in zip(range(1, 6), (64, 192, 384, 256, 256), widths, strict=True)
    }
    assert {name: tuple(x.shape) for name, x in features.items()} == expected | {
        "fc6": (2, 4096, 1, 1),
        "fc7": (2, 4096, 1, 1),
    }
    assert list(features) == list(alexnet.taps)


def test_the_parameter_count_is_the_protocols(alexnet: Backbone) -> None:
    """Weights and biases of the convolutions, weights of the fully connected layers, two numbers a batch norm channel."""
    convolutions = (
        (11 * 11 * 3 * 64 + 64)
        + (5 * 5 * 64 * 192 + 192)
        + (3 * 3 * 192 * 384 + 384)
        + (3 * 3 * 384 * 256 + 256)
        + (3 * 3 * 256 * 256 + 256)
    )
    fully_connected = 256 * 6 * 6 * 4096 + 4096 * 4096
    norms = 2 * (64 + 192 + 384 + 256 + 256 + 4096 + 4096)
    assert (convolutions, fully_connected, norms) == (2_469_696, 54_525_952, 18_688)
    assert sum(p.numel() for p in alexnet.parameters()) == convolutions + fully_connected + norms


def plain_forward(network: Network, images: torch.Tensor) -> torch.Tensor:
    """The protocol's sentence, layer by layer, on the weights in the order in which the network keeps them."""
    weights = [(name, p) for name, p in network.named_parameters() if name.endswith("weight")]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert (len(convs), len(linears), len(norms)) == (5, 3, 7)
    assert len(weights) == 15

    def norm(x: torch.Tensor, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> torch.Tensor:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = layer.weight / torch.sqrt(layer.running_var + 1e-5)
        return (x - layer.running_mean.view(shape)) * scale.view(shape) + layer.bias.view(shape)

    x = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    for number, (conv, stride, padding) in enumerate(zip(convs, (4, 1, 1, 1, 1), (2, 2, 1, 1, 1), strict=True), 1):
        x = F.relu(norm(F.conv2d(x, conv.weight, conv.bias, stride=stride, padding=padding), norms[number - 1]))
        if number in (1, 2, 5):
            x = F.max_pool2d(x, 3, stride=2)
    x = x.reshape(len(x), -1)
    for linear, layer in zip(linears[:2], norms[5:], strict=True):
        x = F.relu(norm(x @ linear.weight.T, layer))
    return x @ linears[2].weight.T + linears[2].bias


def test_the_forward_pass_is_the_protocols() -> None:
    """At 224 pixels the adaptive pool before fc6 is the 3/2 max pool."""
    with seeded(0):
        network = Network(make(0.25), 4, 224).eval()
        for layer in network.modules():  # as after training: not zero and one
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
                nn.init.normal_(layer.bias, 0, 0.2)
                nn.init.uniform_(layer.weight, 0.5, 1.5)
    images = pictures(2, 224)
    with torch.no_grad():
        logits = network(images)
        torch.testing.assert_close(logits, plain_forward(network, images), rtol=1e-4, atol=1e-4)
    assert len(logits.unique()) == 8


def test_taps_are_read_before_their_pool_and_after_their_relu(narrow: Backbone) -> None:
    with torch.no_grad():
        features = narrow.features(pictures(2, 64), narrow.taps)
        for below, above in pairwise(narrow.taps):
            assert torch.equal(features[above], narrow.blocks[above](features[below]))
    assert all(features[name].min() == 0 for name in narrow.taps)
    assert all(features[name].max() > 0 for name in narrow.taps)


def test_the_pool_before_fc6_is_the_published_one_on_a_map_of_13() -> None:
    with seeded(0):
        maps = torch.randn(2, 5, 13, 13)
    assert torch.equal(F.adaptive_max_pool2d(maps, 6), F.max_pool2d(maps, 3, stride=2))


def test_weights_start_as_torch_starts_them(alexnet: Backbone) -> None:
    """Uniform within 1 / sqrt(inputs); batch norm 1 and 0. Convolutions have a bias, fully connected layers have none."""
    layers = [m for m in alexnet.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [layer.bias is not None for layer in layers] == [True] * 5 + [False] * 2
    for layer in layers:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        largest = layer.weight.abs().max().item()
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)
    for norm in alexnet.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            assert norm.weight.eq(1).all()
            assert norm.bias.eq(0).all()


def test_width_scales_every_layer() -> None:
    shapes = [m.weight.shape[:2] for m in make(0.25).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [tuple(shape) for shape in shapes] == [
        (16, 3),
        (48, 16),
        (96, 48),
        (64, 96),
        (64, 64),
        (1024, 64 * 36),
        (1024, 1024),
    ]


def test_weights_made_at_one_size_load_at_another(narrow: Backbone, tmp_path: Path) -> None:
    network = Network(narrow, 4, 64).eval()
    save_backbone(tmp_path / "model.safetensors", network, narrow)
    after = load_network(tmp_path / "model.safetensors", 224)
    assert (after.backbone.arch, after.backbone.width, after.backbone.taps) == ("alexnet", 0.05, narrow.taps)
    for side in (64, 224):
        with torch.no_grad():
            assert torch.equal(after(pictures(2, side)), network(pictures(2, side)))


def test_a_backbone_cut_at_a_convolution_comes_without_the_layers_above(narrow: Backbone) -> None:
    with torch.no_grad():
        before = narrow.features(pictures(2, 64), ["conv2"])["conv2"]
        narrow.cut_after("conv2")
        assert torch.equal(narrow(pictures(2, 64)), before)
    assert narrow.taps == ("conv1", "conv2")


@pytest.mark.parametrize(("side", "breadth"), [(30, 30), (30, 200), (200, 30), (1, 1)])
def test_images_that_are_too_small_are_named_with_the_least_allowed(narrow: Backbone, side: int, breadth: int) -> None:
    with pytest.raises(RotnetError, match=rf"alexnet takes images of at least 31x31 pixels, not {side}x{breadth}: raise"):
        narrow(pictures(1, side, breadth))


def test_a_shape_of_images_that_are_too_small_is_not_to_be_had(narrow: Backbone) -> None:
    assert narrow.shape("fc7", narrow.min_image_size) == (205, 1, 1)
    with pytest.raises(RotnetError, match="at least 31x31 pixels, not 30x30"):
        narrow.shape("conv1", 30)  # one size a net, whatever is read of it


def test_images_need_not_be_square(narrow: Backbone) -> None:
    with torch.no_grad():
        features = narrow.features(pictures(2, 64, 100), ["conv5", "fc7"])
    assert features["conv5"].shape[2:] == (3, 5)
    assert features["fc7"].shape == (2, 205, 1, 1)


def test_its_protocol_is_that_of_imagenet(narrow: Backbone) -> None:
    assert ARCHS["alexnet"].benchmark == "imagenet"
