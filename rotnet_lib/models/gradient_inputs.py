"""Inputs of backbones that see an image's gradient in place of its colours."""

import torch
from torch.nn.functional import pad

from rotnet_lib.models.normalize import Normalize

_LEAST_DEVIATION = 1.0
"""Of an image's pixels, of 255: the noise of an image of one colour must not become its content."""


class Gradient(Normalize):
    """Images (N, 3, H, W) in [0, 255] to their horizontal and vertical gradient (N, 2, H, W), whatever their statistics.

    Each image is first brought to zero mean and unit deviation over its pixels and colours; the gradient is that of the
    colours' mean (the authors' code of Bojanowski and Joulin, ICML 2017).
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.to(self.mean.dtype)
        deviation, mean = torch.std_mean(images, (1, 2, 3), keepdim=True)
        return sobel(((images - mean) / deviation.clamp(min=_LEAST_DEVIATION)).mean(1, keepdim=True))


class Sobel(Normalize):
    """Images (N, 3, H, W) in [0, 255] to their horizontal and vertical gradient (N, 2, H, W).

    It is that of the mean of the normalised colours (the authors' code of Caron et al., ECCV 2018).
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return sobel(super().forward(images).mean(1, keepdim=True))


def sobel(maps: torch.Tensor) -> torch.Tensor:
    """Sobel's filters, on zeros around the map.

    Args:
        maps: (N, 1, H, W) float.

    Returns (N, 2, H, W): the sum over 3 x 3 pixels of those to the right less those to the left, weighted 1, 2, 1 from the top;
    and of those below less those above, weighted 1, 2, 1 from the left.
    """
    framed = pad(maps, (1, 1, 1, 1))
    across, down = framed[..., 2:] - framed[..., :-2], framed[..., 2:, :] - framed[..., :-2, :]
    horizontal = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    vertical = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return torch.cat([horizontal, vertical], 1)
