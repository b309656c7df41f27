"""sRGB and CIE Lab (D65, 2 degrees), elementwise in float32.

Constants and thresholds are those of scikit-image's `rgb2lab`, which the released code of colorization calls (Zhang et al.,
ECCV 2016). What every training image goes through works channel by channel and in place: on a CPU it takes half the time.
"""

from collections.abc import Sequence

import numpy as np
import torch

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
"""Rows X, Y, Z; columns linear R, G, B."""
_TO_RGB = tuple(map(tuple, np.linalg.inv(np.array(_TO_XYZ)).tolist()))
_WHITE = (0.95047, 1.0, 1.08883)
_SMALL = 0.008856
"""Share of white's light up to which L, a and b go with a line."""
_AT_ONCE = 65536
"""Pixels that a CPU converts at a time: what lies in between stays in its cache."""


def rgb_to_lab(images: torch.Tensor) -> torch.Tensor:
    """sRGB to Lab.

    Args:
        images: (N, 3, ...) uint8 or float in [0, 255].

    Returns:
        (N, 3, ...) float32: L in [0, 100], a in [-86.2, 98.3], b in [-107.9, 94.5]. It lies in memory channel by channel, and
        has no gradient.
    """
    linear = _linear(images.transpose(0, 1))
    pixels, count = linear[0].numel(), linear.shape[1]
    at_once = max(1, _AT_ONCE * count // pixels) if images.device.type == "cpu" and pixels > _AT_ONCE else max(1, count)
    for lab in linear.split(at_once, 1):  # which is overwritten
        x, y, z = (_root(_sum(lab, weights).div_(white)) for weights, white in zip(_TO_XYZ, _WHITE, strict=True))
        torch.mul(y, 116, out=lab[0]).sub_(16)
        torch.sub(x, y, out=lab[1]).mul_(500)
        torch.sub(y, z, out=lab[2]).mul_(200)
    return linear.transpose(0, 1)


def lightness(images: torch.Tensor) -> torch.Tensor:
    """L of Lab alone: (N, 3, ...) uint8 or float in [0, 255] to (N, 1, ...) float32 in [0, 100]."""
    return _root(_sum(_linear(images.transpose(0, 1)), _TO_XYZ[1])).mul_(116).sub_(16)[:, None]


def lab_to_rgb(lab: torch.Tensor) -> torch.Tensor:
    """Lab (N, 3, ...) float to sRGB (N, 3, ...) float32; what no screen can show is clipped to [0, 255], channel by channel."""
    lightness, a, b = lab.float().unbind(1)
    y = (lightness + 16) / 116
    xyz = [_cube(root) * white for root, white in zip((y + a / 500, y, y - b / 200), _WHITE, strict=True)]
    linear = torch.stack([_sum(xyz, weights) for weights in _TO_RGB], 1).clamp_(0, 1)
    return 255 * torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def _linear(images: torch.Tensor) -> torch.Tensor:
    """Light from pixel values of 255; whole ones are looked up, which is five times as fast on a CPU."""
    if images.dtype == torch.uint8:
        table = _linear(torch.arange(256.0, device=images.device))
        places = images.to(torch.int32, memory_format=torch.contiguous_format)
        return table.index_select(0, places.view(-1)).view(places.shape)
    values = images.float() / 255
    return torch.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)


def _sum(channels: Sequence[torch.Tensor] | torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """A weighted sum of three channels: a product of matrices would be rounded to TF32 or bf16."""
    first, second, third = (channel * weight for channel, weight in zip(channels, weights, strict=True))
    return first.add_(second).add_(third)


def _root(share: torch.Tensor) -> torch.Tensor:
    """The cube root of a share of white's light, in [0, 1], and a line where that is small. `share` is overwritten."""
    root = share.log().div_(3).exp_()  # a fifth of the time of a power on a CPU, right to 1e-6; of 0, it is 0
    line = (share * 7.787).add_(16 / 116)
    return line.lerp_(root, share.gt_(_SMALL))  # by 0 or 1, exactly one of the two; `where` takes several times as long


def _cube(root: torch.Tensor) -> torch.Tensor:
    return torch.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787)
