"""The smallest images, computed, against the smallest that go through."""

import random

import pytest
import torch
from torch import nn

from rotnet_lib.errors import RotnetError
from rotnet_lib.models.smallest import smallest_side
from tests.weights import fresh


def passes(layers: nn.Module, height: int, width: int) -> bool:
    """Whether there is an image, and something comes out."""
    if not min(height, width):
        return False
    try:
        return min(layers(torch.zeros(1, 1, height, width)).shape) > 0
    except RuntimeError:
        return False


def drawn(seed: int) -> nn.Sequential:
    """One to five convolutions and pools, each in a block of its own; an adaptive pool comes last."""
    rng = random.Random(seed)
    layers: list[nn.Module] = []
    count = rng.randint(1, 5)
    for place in range(count):
        kernel, stride = rng.randint(1, 5), rng.randint(1, 3)
        padding = rng.randint(0, kernel // 2)
        made: list[nn.Module] = [
            nn.Conv2d(1, 1, kernel, stride=stride, padding=padding),
            nn.MaxPool2d(kernel, stride=stride, padding=padding),
            nn.AvgPool2d(kernel, stride=stride, padding=padding),
            nn.Conv2d(1, 1, kernel, padding=padding),
            nn.AdaptiveMaxPool2d(rng.randint(1, 3)),
            nn.AdaptiveAvgPool2d(rng.randint(1, 3)),
        ]
        layers.append(nn.Sequential(made[rng.randrange(6 if place == count - 1 else 4)], nn.ReLU()))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("seed", range(60))
def test_it_is_the_smallest_that_goes_through(seed: int) -> None:
    layers = drawn(seed)
    found = smallest_side(layers)
    assert passes(layers, found, found)
    assert not passes(layers, found - 1, found - 1)


def test_an_adaptive_pool_takes_any_map() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveMaxPool2d(6), nn.Conv2d(1, 1, 5))
    assert smallest_side(layers) == 3
    assert passes(layers, 3, 3)


def test_the_axis_that_needs_more_decides() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, (3, 7), stride=(2, 1)), nn.MaxPool2d((4, 1)))
    assert smallest_side(layers) == 9
    assert passes(layers, 9, 9)
    assert not passes(layers, 8, 9)


@pytest.mark.parametrize(("stride", "side"), [(4, 31), (2, 19), (1, 13)])
def test_an_alexnet_of_a_smaller_stride_takes_smaller_images(stride: int, side: int) -> None:
    backbone = fresh("alexnet").eval()
    backbone.stem_stride = stride
    assert backbone.min_image_size == side
    assert backbone(torch.zeros(1, 3, side, side)).shape == (1, 205, 1, 1)
    with pytest.raises(RotnetError, match=rf"alexnet takes images of at least {side}x{side} pixels, not {side - 1}x40: raise"):
        backbone(torch.zeros(1, 3, side - 1, 40))


@pytest.mark.parametrize(("layer", "side"), [("conv1", 7), ("conv2", 15), ("conv3", 31), ("fc7", 31)])
def test_a_cut_alexnet_takes_what_its_last_layer_takes(layer: str, side: int) -> None:
    backbone = fresh("alexnet", last=layer).eval()
    assert backbone.min_image_size == side
    assert backbone(torch.zeros(1, 3, side, side)).shape[0] == 1
