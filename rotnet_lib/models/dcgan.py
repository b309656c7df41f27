"""The discriminator of a DCGAN as an arch: its layers are what others read (Radford, Metz, Chintala 2015)."""

from __future__ import annotations

from rotnet_lib.lazy import nn
from rotnet_lib.models.arch import Arch, declare, scaled

CHANNELS = (128, 128, 256, 256, 512, 512)
"""Of its convolutions at width 1; every second one has a stride of 2."""
SHRUNK = 8
"""How much smaller than the image its last map is."""
_SPREAD = 0.02
"""Standard deviation of the weights at the start."""


def dcgan(width: float, channels: int) -> dict[str, nn.Module]:
    """Six convolutions of 3x3, strides 1, 2, 1, 2, 1, 2, without pooling; LeakyReLU 0.2, batch norm on all but the first.

    Taps conv1..conv6 are the outputs after the LeakyReLU. At 32 x 32 (width 1): conv1 128 x 32 x 32, conv2 128 x 16 x 16,
    conv3 256 x 16 x 16, conv4 256 x 8 x 8, conv5 512 x 8 x 8, conv6 512 x 4 x 4.

    The first convolution reads `channels` channels. Weights start as `start_as_gan` says.
    """
    blocks: dict[str, nn.Module] = {}
    for number, of_width_one in enumerate(CHANNELS):
        size = scaled(of_width_one, width)
        norm = [nn.BatchNorm2d(size)] if number else []
        conv = nn.Conv2d(channels, size, 3, stride=1 + number % 2, padding=1, bias=not norm)
        blocks[f"conv{number + 1}"] = nn.Sequential(conv, *norm, nn.LeakyReLU(0.2, inplace=True))
        start_as_gan(blocks[f"conv{number + 1}"])
        channels = size
    return blocks


def start_as_gan(module: nn.Module) -> None:
    """Draw weights anew as the authors do: from N(0, 0.02), batch norm's gain from N(1, 0.02); biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, _SPREAD)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, _SPREAD)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


declare(
    Arch(
        name="dcgan",
        benchmark="cifar10",
        taps=tuple(f"conv{number}" for number in range(1, len(CHANNELS) + 1)),
        min_image_size=1,  # every convolution is padded: one pixel stays one
        blocks=dcgan,
        title="Discriminator",
    )
)
