"""Network-in-Network for CIFAR-size images (docs/protocol.md, "CIFAR-10"; Gidaris et al. 2018, section 4.1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from rotnet_lib.lazy import nn
from rotnet_lib.models.arch import Arch, declare, scaled


def conv_block(channels_in: int, channels: Sequence[int], kernel: int) -> nn.Sequential:
    """Three times (conv without bias, batch norm, ReLU), the first conv `kernel` wide and the others 1x1.

    Convolutions start from N(0, sqrt(2 / (k*k*out))), batch norm from 1 and 0. The authors' code has a function for
    that, which it calls for classifiers and never for the network itself (see `start_as_torch`).
    """
    layers: list[nn.Module] = []
    for position, channels_out in enumerate(channels):
        side = kernel if position == 0 else 1
        conv = nn.Conv2d(channels_in, channels_out, side, padding=side // 2, bias=False)
        nn.init.normal_(conv.weight, 0.0, math.sqrt(2 / (side * side * channels_out)))
        layers += [conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
        channels_in = channels_out
    return nn.Sequential(*layers)


def nin(count: int, width: float, channels: int) -> dict[str, nn.Module]:
    """NIN of `count` conv blocks; taps conv1..convN are the block outputs, after the pool where there is one.

    The first convolution reads `channels` channels.

    At 32 x 32: conv1 96 x 16 x 16, conv2 and up 192 x 8 x 8 (at width 1).
    """
    first = [scaled(c, width) for c in (192, 160, 96)]
    rest = [scaled(192, width)] * 3
    blocks: dict[str, nn.Module] = {
        "conv1": nn.Sequential(*conv_block(channels, first, 5), nn.MaxPool2d(3, stride=2, padding=1)),
        "conv2": nn.Sequential(*conv_block(first[-1], rest, 5), nn.AvgPool2d(3, stride=2, padding=1)),
    }
    for number in range(3, count + 1):
        blocks[f"conv{number}"] = conv_block(rest[-1], rest, 3)
    return blocks


def start_as_torch(module: nn.Module) -> None:
    """Draw a NIN's weights anew as torch 0.2 drew them, by which the authors' networks started.

    Convolutions from U(-b, b), b = 1 / sqrt(k*k*in); batch norm's gain from U(0, 1).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()  # that is so still; batch norm's gain is 1 since torch 1.0
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight)


for _count in (3, 4, 5):
    declare(
        Arch(
            name=f"nin{_count}",
            benchmark="cifar10",
            taps=tuple(f"conv{number}" for number in range(1, _count + 1)),
            min_image_size=1,  # every convolution and pool is padded: one pixel stays one
            blocks=functools.partial(nin, _count),
            starts={"torch": start_as_torch},
            title=f"NIN-{_count}",
        )
    )
