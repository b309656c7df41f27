"""AlexNet for ImageNet-size images (docs/protocol.md, "ImageNet and Places205"; Gidaris et al. 2018, section 4.2)."""

from __future__ import annotations

from rotnet_lib.lazy import nn
from rotnet_lib.models.arch import Arch, declare, scaled


def alexnet(width: float, channels: int) -> dict[str, nn.Module]:
    """AlexNet with batch norm after every layer, without local response normalisation, dropout or groups.

    Taps conv1..conv5 are the outputs after the ReLU and before the pool behind it, which opens the next block. At 224 x 224
    (width 1): conv1 64 x 55 x 55, conv2 192 x 27 x 27, conv3 384 x 13 x 13, conv4 and conv5 256 x 13 x 13; at 64 x 64 these
    maps are 15, 7, 3, 3, 3 wide. fc6 and fc7 are 4096 x 1 x 1 at any size.

    The first convolution reads `channels` channels. As in the authors' code, convolutions have a bias, the fully connected
    layers none, and all start as torch starts them.
    """
    conv1, conv2, conv3, conv4, conv5 = (scaled(c, width) for c in (64, 192, 384, 256, 256))
    return {
        "conv1": nn.Sequential(*_conv(channels, conv1, 11, stride=4, padding=2)),
        "conv2": nn.Sequential(nn.MaxPool2d(3, stride=2), *_conv(conv1, conv2, 5)),
        "conv3": nn.Sequential(nn.MaxPool2d(3, stride=2), *_conv(conv2, conv3, 3)),
        "conv4": nn.Sequential(*_conv(conv3, conv4, 3)),
        "conv5": nn.Sequential(*_conv(conv4, conv5, 3)),
        **fully_connected_blocks(conv5, width),
    }


def fully_connected_blocks(conv5: int, width: float) -> dict[str, nn.Module]:
    """fc6 and fc7, above a map of `conv5` channels."""
    hidden = scaled(4096, width)
    # The pool before fc6 is adaptive: on the 13 x 13 map of a 224-pixel image its windows are just those of the 3/2 max
    # pool, and on another map fc6 keeps its shape, so that weights made at one image size load at another.
    pool5 = nn.AdaptiveMaxPool2d(6)
    return {
        "fc6": nn.Sequential(pool5, *_fully_connected(6 * 6 * conv5, hidden)),
        "fc7": nn.Sequential(*_fully_connected(hidden, hidden)),
    }


def _conv(channels_in: int, channels: int, kernel: int, stride: int = 1, padding: int | None = None) -> list[nn.Module]:
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(channels_in, channels, kernel, stride=stride, padding=padding)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _fully_connected(features_in: int, features: int) -> list[nn.Module]:
    """A fully connected layer on flattened maps, its output a map of one pixel, which every head and probe takes."""
    linear = nn.Linear(features_in, features, bias=False)
    return [nn.Flatten(), linear, nn.BatchNorm1d(features), nn.ReLU(inplace=True), nn.Unflatten(1, (features, 1, 1))]


declare(
    Arch(
        name="alexnet",
        benchmark="imagenet",
        taps=("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"),
        min_image_size=31,  # conv1 makes it 7 wide, the first pool 3, the second 1; at 30 the second has too little
        blocks=alexnet,
        title="AlexNet",
    )
)
