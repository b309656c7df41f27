"""Archs of two halves: what a half sees, and that others can work on them."""

import copy

import pytest
import torch
from torch import nn

from rotnet_lib.models.arch import ARCHS
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.classifiers import make_classifier
from rotnet_lib.models.folding import fold
from rotnet_lib.models.gradient_rescaling import rescale_gradients
from rotnet_lib.models.rescaling import rescale_by_data
from rotnet_lib.models.split import only
from rotnet_lib.models.split_conv import SplitConv2d
from tests.weights import fresh

SPLIT = ("nin4-split", "alexnet-split")
IMAGES = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def of_lab(arch: str, layer: str, images: torch.Tensor) -> torch.Tensor:
    """A layer of the blocks on Lab (N, 3, S, S), past the conversion."""
    backbone, x = fresh(arch, inputs="lab").eval(), images
    for name, block in backbone.blocks.items():
        x = block(x)
        if name == layer:
            break
    return x


@pytest.mark.parametrize("arch", SPLIT)
@pytest.mark.parametrize("layer", ["conv1", "conv4"])
def test_each_half_depends_on_its_own_channels_alone(arch: str, layer: str) -> None:
    lab = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for number, (own, others) in enumerate((([0], [1, 2]), ([1, 2], [0]))):
        half = of_lab(arch, layer, lab).chunk(2, 1)[number]
        [gradient] = torch.autograd.grad(half.square().sum(), lab)
        assert gradient[:, own].abs().sum() > 0
        assert gradient[:, others].abs().max() == 0


@pytest.mark.parametrize("arch", SPLIT)
def test_what_an_arch_calls_halved_has_groups_and_the_rest_has_not(arch: str) -> None:
    blocks = fresh(arch, inputs="lab").blocks
    for layer, block in blocks.items():
        grouped = all(isinstance(m, SplitConv2d) or m.groups == 2 for m in block.modules() if isinstance(m, nn.Conv2d))
        dense = any(isinstance(m, nn.Linear) for m in block.modules())
        assert (layer in ARCHS[arch].halved) == (grouped and not dense)


def test_one_half_alone_keeps_its_channels_and_the_maps_keep_their_shape() -> None:
    maps = torch.rand(2, 6, 3, 3) + 1
    of_l, of_ab = only("L", maps), only("ab", maps)
    assert torch.equal(of_l + of_ab, maps)
    assert of_l[:, :3].ne(0).all()
    assert of_ab[:, 3:].ne(0).all()
    assert (of_l * of_ab).eq(0).all()
    assert torch.equal(only("both", maps), maps)


@pytest.mark.parametrize("arch", SPLIT)
@pytest.mark.parametrize("width", [0.01, 0.05, 0.33, 1.0])
def test_no_width_gives_odd_halves(arch: str, width: float) -> None:
    with torch.device("meta"):
        backbone = fresh_of_width(arch, width)
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.out_channels % 2 == 0


def fresh_of_width(arch: str, width: float) -> Backbone:
    return make_backbone(arch, width=width, mean=(0,) * 3, std=(1,) * 3, inputs="lab")


@pytest.mark.parametrize(("split", "whole"), [("nin4-split", "nin4"), ("alexnet-split", "alexnet")])
def test_maps_are_those_of_the_arch_that_is_split(split: str, whole: str) -> None:
    images = torch.zeros(1, 3, 64, 64, device="meta")
    with torch.device("meta"):
        backbones = [fresh_of_width(arch, 1.0).eval() for arch in (split, whole)]
        shapes = [{tap: x.shape for tap, x in b.features(images, b.taps).items()} for b in backbones]
    assert shapes[0] == shapes[1]
    convolutions = [
        sum(layer.weight.numel() for layer in b.modules() if isinstance(layer, nn.Conv2d) and layer.in_channels > 3)
        for b in backbones
    ]
    assert convolutions[0] * 2 == convolutions[1]


@pytest.mark.parametrize("arch", SPLIT)
def test_it_is_a_dense_network_with_zeros_between_the_halves(arch: str) -> None:
    backbone = fresh(arch, inputs="lab").eval()
    rescale_by_data(backbone, IMAGES)
    dense = copy.deepcopy(backbone)
    for block in dense.blocks.modules():
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Conv2d):
                setattr(block, name, as_dense(layer))
    with torch.no_grad():
        found, expected = (one.features(IMAGES, ["conv4"])["conv4"] for one in (dense, backbone))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def as_dense(layer: nn.Conv2d) -> nn.Conv2d:
    """A convolution without groups, with zeros where a group does not look."""
    made = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    with torch.no_grad():
        made.weight.zero_()
        rows, columns = layer.out_channels // layer.groups, layer.in_channels // layer.groups
        for group in range(layer.groups):
            own = slice(group * rows, (group + 1) * rows)
            made.weight[own, group * columns : (group + 1) * columns] = layer.weight[own]
        if layer.bias is not None and made.bias is not None:
            made.bias.copy_(layer.bias)
    return made


def test_weights_between_the_halves_stay_zero_whatever_trains_them() -> None:
    conv = SplitConv2d(3, 4, 3, padding=1)
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.1, weight_decay=0.1)
    before = conv.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        conv(torch.randn(2, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    assert (conv.weight[:2, 1:] == 0).all()
    assert (conv.weight[2:, :1] == 0).all()
    assert (conv.weight[:2, :1] != before[:2, :1]).all()
    assert (conv.weight[2:, 1:] != before[2:, 1:]).all()


def test_halves_start_as_convolutions_of_their_own_channels() -> None:
    weight = SplitConv2d(3, 2000, 5).weight.detach()
    assert weight[:1000, 0].abs().max().item() == pytest.approx(1 / 25**0.5, rel=0.01)
    assert weight[1000:, 1:].abs().max().item() == pytest.approx(1 / 50**0.5, rel=0.01)


@pytest.mark.parametrize("arch", SPLIT)
def test_it_is_folded_and_rescaled(arch: str) -> None:
    backbone = fresh(arch, inputs="lab").eval()
    rescale_by_data(backbone, IMAGES)
    folded = fold(backbone)
    with torch.no_grad():
        torch.testing.assert_close(folded(IMAGES), backbone(IMAGES), rtol=1e-3, atol=1e-4)
    layers = rescale_gradients(folded, IMAGES, torch.Generator().manual_seed(0))
    ratios = [layer.after for layer in layers]
    assert max(ratios) / min(ratios) < 1.1


def test_the_rest_of_it_has_groups_in_convolutions() -> None:
    backbone = fresh("alexnet-split", inputs="lab").eval()
    shape = backbone.shape("conv4", 64)
    classifier = make_classifier("rest", backbone, "conv4", shape, 7)
    assert [layer.groups for layer in classifier.modules() if isinstance(layer, nn.Conv2d)] == [2]
    assert classifier.eval()(torch.zeros(2, *shape)).shape == (2, 7)
