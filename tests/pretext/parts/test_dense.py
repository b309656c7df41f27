"""Answers at each place of a map: the heads' shapes, and where the places lie."""

from typing import Any

import pytest
import torch
from torch import nn

from rotnet_lib.pretext.parts.dense import Sight, dense_head
from tests.weights import fresh


@pytest.mark.parametrize("kind", ["fc", "conv"])
@pytest.mark.parametrize("side", [1, 6, 13])
def test_a_head_keeps_the_size_of_the_map(kind: Any, side: int) -> None:
    head = dense_head(kind, 12, 7, width=0.01)
    assert head(torch.zeros(2, 12, side, side)).shape == (2, 7, side, side)


def layers(arch: str, stride: int | None = None) -> Any:
    backbone = fresh(arch)
    backbone.cut_after_convolutions()
    if stride:
        backbone.stem_stride = stride
    return backbone


@pytest.mark.parametrize(
    ("arch", "stride", "size", "expected"),
    [
        ("nin4", None, 32, (0.0, 4, 8)),
        ("alexnet", None, 224, (15.0, 16, 13)),
        ("alexnet", 2, 64, (9.0, 8, 6)),
    ],
)
def test_a_place_sees_what_lies_round_its_centre(
    arch: str, stride: int | None, size: int, expected: tuple[float, int, int]
) -> None:
    """By the gradient: what a place in the middle of the map depends on has its middle there."""
    backbone = layers(arch, stride)
    side = backbone.shape(backbone.taps[-1], size)[1]
    sight = Sight.through(backbone.blocks.values(), side)
    assert (sight.first, sight.pitch, sight.side) == expected
    linear = nn.Sequential()
    for layer in backbone.blocks.modules():
        if isinstance(layer, nn.Conv2d):
            conv = nn.Conv2d(1, 1, layer.kernel_size, layer.stride, layer.padding, bias=False)  # type: ignore[arg-type]
            nn.init.constant_(conv.weight, 1 / conv.weight.numel())
            linear.append(conv)
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            linear.append(nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding))
    pixels = torch.zeros(1, 1, 400, 400, requires_grad=True)
    middle = 200 // sight.pitch
    linear(pixels)[0, 0, middle, middle].backward()
    assert pixels.grad is not None
    seen = pixels.grad[0, 0].sum(0).nonzero().flatten()
    assert (seen.min() + seen.max()).item() / 2 == sight.first + middle * sight.pitch


def test_images_are_averaged_round_each_place() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 64, 64)
    sight = Sight(first=9.0, pitch=8, side=6)
    assert sight.shrunk(ramp)[0, 0, 0].tolist() == [8.5 + 8 * place for place in range(6)]
    padded = Sight(first=0.0, pitch=4, side=8).shrunk(torch.arange(32, dtype=torch.uint8).expand(1, 1, 32, 32))
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].tolist() == [0.5] + [4 * place - 0.5 for place in range(1, 8)]


def test_maps_are_read_bilinearly() -> None:
    sight = Sight(first=3.0, pitch=4, side=7)
    coordinate = 3.0 + 4 * torch.arange(7.0)
    maps = torch.stack([coordinate[:, None].expand(7, 7), coordinate.expand(7, 7)])[None]
    rows, columns = torch.tensor([[3, 10, 27]]), torch.tensor([[25, 4, 3]])
    found = sight.read(maps, rows, columns)
    torch.testing.assert_close(found, torch.stack([rows, columns], 1).float())
    torch.testing.assert_close(sight.read(maps, torch.tensor([[0]]), torch.tensor([[31]])).flatten(), torch.tensor([3.0, 27.0]))
    assert sight.enlarged(maps, 32).shape == (1, 2, 32, 32)
    assert sight.enlarged(maps, 32)[0, 1, 5, 10].item() == pytest.approx(10)
