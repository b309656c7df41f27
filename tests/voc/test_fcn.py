import importlib
import pickle
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone, make_backbone
from rotnet_lib.models.folding import fold
from rotnet_lib.seeds import seeded
from rotnet_lib.voc import fcn
from rotnet_lib.voc.fcn import Fcn, FullyConvolutionalAlexNet, as_convolution


@pytest.fixture
def backbone() -> Backbone:
    with seeded(0):
        made = make_backbone("alexnet", width=0.05, mean=(120, 110, 100), std=(60, 61, 62))
        for norm in made.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(norm.get_buffer("running_mean"), -0.1, 0.1)
                nn.init.uniform_(norm.get_buffer("running_var"), 0.5, 2)
    return fold(made.eval())


@pytest.fixture
def network(backbone: Backbone) -> Fcn:
    with seeded(1):
        return Fcn(backbone, 3, 0.5)


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(0, 4, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_layer_as_convolution_is_the_linear_layer_at_every_place() -> None:
    linear = nn.Linear(5 * 6 * 6, 7)
    maps = torch.randn(2, 5, 9, 8)
    found = as_convolution(linear, 6)(maps)
    assert found.shape == (2, 7, 4, 3)
    for row, column in ((0, 0), (3, 2), (1, 2)):
        window = maps[:, :, row : row + 6, column : column + 6]
        torch.testing.assert_close(found[:, :, row, column], linear(window.flatten(1)))


@torch.no_grad()
def test_in_the_middle_of_224_pixels_it_is_the_backbone(backbone: Backbone) -> None:
    images = pixels(2, 3, 224, 224)
    slid = FullyConvolutionalAlexNet(backbone, 0.5).eval()(backbone.normalize(images))[-1]
    assert slid.shape == (2, round(4096 * 0.05), 7, 7)
    expected = backbone(images)[:, :, 0, 0]
    assert expected.std() > 0.01
    torch.testing.assert_close(slid[:, :, 3, 3], expected)  # its window is the whole map


def test_cells_stand_where_the_upsampling_takes_them_to_be(backbone: Backbone) -> None:
    network = FullyConvolutionalAlexNet(backbone, 0)
    stride, cells = 1, 256
    middle = 0.5  # of the first cell, in pixels from the image's edge
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            kernel, step, padding = (
                int(value[0] if isinstance(value, tuple) else value)
                for value in (layer.kernel_size, layer.stride, layer.padding)
            )
            middle += stride * ((kernel - 1) / 2 - padding)
            stride *= step
            cells = (cells + 2 * padding - kernel) // step + 1
    assert (stride, cells) == (fcn.STRIDE, 256 // fcn.STRIDE)
    assert abs(middle - fcn.STRIDE / 2) <= 0.5


@pytest.mark.parametrize("size", [(64, 96), (100, 75), (33, 129), (20, 30)])
@torch.no_grad()
def test_every_pixel_of_any_image_has_scores(size: tuple[int, int], network: Fcn) -> None:
    scores = network.eval()(pixels(1, 3, *size))
    assert scores.shape == (1, 4, *size)
    assert scores.isfinite().all()


@torch.no_grad()
def test_padding_with_the_mean_colour_changes_nothing(network: Fcn) -> None:
    images = torch.full((1, 3, 96, 128), 0.0) + network.normalize.mean
    images[:, :, :70, :100] = pixels(1, 3, 70, 100).float()
    torch.testing.assert_close(network.eval()(images[:, :, :70, :100]), network(images)[:, :, :70, :100])


def test_the_loss_is_the_mean_over_the_pixels_that_count(network: Fcn) -> None:
    images, masks = pixels(2, 3, 70, 90), ids(2, 70, 90)
    masks[:, :50] = 255
    network.eval()  # without dropout
    expected = F.cross_entropy(network(images), masks.long(), ignore_index=255)
    torch.testing.assert_close(network.loss(images, masks), expected)


def test_nothing_to_learn_is_no_loss(network: Fcn) -> None:
    loss = network.loss(pixels(1, 3, 64, 64), torch.full((1, 64, 64), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_everything_is_trained_and_the_score_layer_is_drawn(backbone: Backbone) -> None:
    with seeded(1):
        first = Fcn(backbone, 3, 0.5)
    with seeded(1):
        second = Fcn(backbone, 3, 0.5)
    score = first.segmentor.decode_head.conv_seg
    assert torch.equal(score.weight, second.segmentor.decode_head.conv_seg.weight)
    assert score.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not score.bias.any()
    first.loss(pixels(2, 3, 64, 64), ids(2, 64, 64)).backward()
    assert all(parameter.grad is not None for parameter in first.parameters())
    layers = [layer for layer in first.modules() if list(layer.parameters(recurse=False))]
    assert len(layers) == 8  # conv1..conv5, fc6, fc7, score: nothing idle is saved


def test_two_classes_are_scored_like_more(backbone: Backbone) -> None:
    assert Fcn(backbone, 1, 0.5).eval()(pixels(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_it_reaches_other_processes(network: Fcn) -> None:
    images = pixels(1, 3, 64, 64)
    torch.testing.assert_close(pickle.loads(pickle.dumps(network.eval()))(images), network(images))


def test_importing_it_again_is_no_error(backbone: Backbone) -> None:
    again = importlib.reload(fcn)
    assert again.Fcn(backbone, 3, 0.5).eval()(pixels(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_without_mmsegmentation_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, fcn.__name__)
    for name in ("mmseg", "mmseg.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        RotnetError, match=r"segmentation needs mmsegmentation.*'mmseg.*`make setup`.*--no-deps -r requirements"
    ):
        importlib.import_module(fcn.__name__)
