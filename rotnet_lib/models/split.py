"""AlexNet and Network-in-Network cut in two halves (Zhang, Isola, Efros, CVPR 2017).

The first convolution's first half reads the first channel of the input, its second half the others; each later convolution has
two groups. So the first half of every map's channels depends on the first channel of the input alone, here L of Lab.
"""

from __future__ import annotations

import math
from typing import Literal

from rotnet_lib.lazy import nn, torch
from rotnet_lib.models.alexnet import fully_connected_blocks
from rotnet_lib.models.arch import Arch, declare, scaled

Half = Literal["both", "L", "ab"]
"""Which half of a network of Lab is read: the first sees L, the second a and b."""


def only(half: Half, maps: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, H, W) with the channels of one half as they are and those of the other 0; of `both`, as they are.

    Not cut off: a classifier on them then has the size, the pooling and the first weights that it has on both halves.
    """
    if half == "both":
        return maps
    first, second = maps.chunk(2, 1)
    return torch.cat([first, torch.zeros_like(second)] if half == "L" else [torch.zeros_like(first), second], 1)


def halves(channels: int, width: float) -> int:
    """A channel count under the width factor that is even, each half scaled by itself."""
    return 2 * scaled(channels // 2, width)


def alexnet_split(width: float, channels: int) -> dict[str, nn.Module]:
    """AlexNet of two halves; taps and shapes are AlexNet's (see `alexnet.alexnet`), the two halves' channels concatenated.

    fc6 and fc7 are AlexNet's own, dense: what is trained or started above conv5 sees both halves.
    """
    from rotnet_lib.models.split_conv import SplitConv2d

    conv1, conv2, conv3, conv4, conv5 = (halves(c, width) for c in (64, 192, 384, 256, 256))

    def conv(channels_in: int, channels: int, kernel: int) -> list[nn.Module]:
        return _with_norm(nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, groups=2))

    return {
        "conv1": nn.Sequential(*_with_norm(SplitConv2d(channels, conv1, 11, stride=4, padding=2))),
        "conv2": nn.Sequential(nn.MaxPool2d(3, stride=2), *conv(conv1, conv2, 5)),
        "conv3": nn.Sequential(nn.MaxPool2d(3, stride=2), *conv(conv2, conv3, 3)),
        "conv4": nn.Sequential(*conv(conv3, conv4, 3)),
        "conv5": nn.Sequential(*conv(conv4, conv5, 3)),
        **fully_connected_blocks(conv5, width),
    }


def nin4_split(width: float, channels: int) -> dict[str, nn.Module]:
    """NIN of four conv blocks and of two halves; taps and shapes are NIN-4's (see `nin.nin`)."""
    from rotnet_lib.models.split_conv import SplitConv2d

    def layers(channels_in: int, sizes: tuple[int, ...], kernel: int, first: bool = False) -> list[nn.Module]:
        found: list[nn.Module] = []
        for place, size in enumerate(sizes):
            size, side = halves(size, width), kernel if place == 0 else 1
            if first and place == 0:
                conv: nn.Conv2d = SplitConv2d(channels_in, size, side, padding=side // 2, bias=False)
            else:
                conv = nn.Conv2d(channels_in, size, side, padding=side // 2, groups=2, bias=False)
            with torch.no_grad():  # as in a NIN of half the channels; where a half must not look, weights are 0
                conv.weight.copy_((conv.weight != 0) * torch.randn(conv.weight.shape) * math.sqrt(4 / (side * side * size)))
            found += _with_norm(conv)
            channels_in = size
        return found

    rest, across = (192, 192, 192), halves(192, width)
    return {
        "conv1": nn.Sequential(*layers(channels, (192, 160, 96), 5, first=True), nn.MaxPool2d(3, stride=2, padding=1)),
        "conv2": nn.Sequential(*layers(halves(96, width), rest, 5), nn.AvgPool2d(3, stride=2, padding=1)),
        "conv3": nn.Sequential(*layers(across, rest, 3)),
        "conv4": nn.Sequential(*layers(across, rest, 3)),
    }


def _with_norm(conv: nn.Conv2d) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True)]


declare(
    Arch(
        name="nin4-split",
        benchmark="cifar10",
        taps=("conv1", "conv2", "conv3", "conv4"),
        min_image_size=1,
        blocks=nin4_split,
        title="split NIN-4",
        halved=("conv1", "conv2", "conv3", "conv4"),
    )
)
declare(
    Arch(
        name="alexnet-split",
        benchmark="imagenet",
        taps=("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"),
        min_image_size=31,
        blocks=alexnet_split,
        title="split AlexNet",
        halved=("conv1", "conv2", "conv3", "conv4", "conv5"),
    )
)
