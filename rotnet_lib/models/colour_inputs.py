"""Inputs of backbones that do not see all of an image's colours, or see them as Lab."""

import torch

from rotnet_lib.models.colour import lightness, rgb_to_lab
from rotnet_lib.models.normalize import Normalize

_MIDDLE = 50.0
"""Of L, which is in [0, 100]: what the released code of colorization takes off (Zhang et al. 2016)."""


class Grey(Normalize):
    """Images (N, 3, H, W) in [0, 255] to the mean of R, G and B (N, 1, H, W).

    Less its mean over the training images, divided by the mean of the three channels' standard deviations.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.to(self.mean.dtype).mean(1, keepdim=True) - self.mean.mean()) / self.std.mean()


class Lightness(Normalize):
    """Images (N, 3, H, W) in [0, 255] to L - 50 (N, 1, H, W), whatever their statistics."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (lightness(images) - _MIDDLE).to(self.mean.dtype)


class Lab(Normalize):
    """Images (N, 3, H, W) in [0, 255] to L - 50, a and b (N, 3, H, W), whatever their statistics."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lab = rgb_to_lab(images)
        lab[:, 0] -= _MIDDLE
        return lab.to(self.mean.dtype)
