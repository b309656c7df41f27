"""The network that fills holes: a backbone, a layer within each of its maps, a decoder (Pathak et al., CVPR 2016, 3.1)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from rotnet_lib.models.arch import scaled
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.pretext.parts.hole_critic import HoleCritic
from rotnet_lib.pretext.parts.masks import RegionMasks
from rotnet_lib.pretext.parts.resizing import resizing_matrix, weighted

_POOLED = 6
"""Side of the map that the decoder begins with, at most: that of an AlexNet's pool5 at 227 pixels."""
_CHANNELS = (128, 64, 64, 32)
"""Channels of the maps on the way to the three of the picture, at width 1."""


class ChannelwiseLinear(nn.Module):
    """A fully connected layer within each map, without weights between maps: C (h w)^2 of them in place of C^2 (h w)^2.

    Without it no place of the bottleneck would know of another that is further away than the convolutions reach.

    Args:
        channels, height, width: of the maps, (C, h, w).
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        places = height * width
        self.weight = nn.Parameter(torch.empty(channels, places, places))
        self.bias = nn.Parameter(torch.zeros(channels, 1, places))
        nn.init.normal_(self.weight, 0.0, math.sqrt(2 / places))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to the same shape."""
        rows = maps.flatten(2).transpose(0, 1)  # (C, B, h w)
        return torch.baddbmm(self.bias.to(rows.dtype), rows, self.weight.to(rows.dtype)).transpose(0, 1).reshape(maps.shape)


class InpaintingNetwork(nn.Module):
    """Images with holes to whole pictures.

    Pool, channel-wise layer, dropout and a 1x1 convolution are the bottleneck. Up-convolutions (5x5, stride 2, from n to 2n - 1
    wide, ReLU between) follow until the map is at least half as wide as the image, five at 224 pixels; then it is resized.

    Args:
        backbone: cut after its last convolution.
        masks: of the holes, which are drawn on the network's device.
        dropout: behind the channel-wise layer.
        critic: the adversary, trained beside the rest; None: there is none.

    Raises RotnetError if the images are too small for the backbone.
    """

    resizing: torch.Tensor

    def __init__(self, backbone: Backbone, masks: RegionMasks, dropout: float, critic: HoleCritic | None = None) -> None:
        super().__init__()
        channels, height, _ = backbone.shape(backbone.taps[-1], masks.side)
        pooled = min(height, _POOLED)
        self.backbone = backbone
        self.masks = masks
        self.critic = critic
        self.bottleneck = nn.Sequential(
            nn.AdaptiveMaxPool2d(pooled),
            ChannelwiseLinear(channels, pooled, pooled),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
        )
        count = 1
        while (pooled - 1) * 2**count + 1 < masks.side / 2 and count <= len(_CHANNELS):
            count += 1
        matrix = resizing_matrix("linear", (pooled - 1) * 2**count + 1, masks.side)
        self.register_buffer("resizing", torch.tensor(matrix), persistent=False)
        sizes = [channels, *(scaled(size, backbone.width) for size in _CHANNELS[: count - 1]), 3]
        self.decoder = nn.Sequential()
        for size, following in pairwise(sizes):
            layer = nn.ConvTranspose2d(size, following, 5, stride=2, padding=2)
            # Each pixel of the output is a sum over a quarter of the kernel, on average.
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / (size * 25 / 4)))
            self.decoder.extend([layer, nn.ReLU(inplace=True)])
        del self.decoder[-1]
        with torch.no_grad():  # training begins at little more than the mean colour, with a loss of about 1
            layer.weight.mul_(0.1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) in [0, 255] to pictures (B, 3, S, S), float32, normalised as the backbone normalises images."""
        return weighted(self.decoder(self.bottleneck(self.backbone(images))), self.resizing)
