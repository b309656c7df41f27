"""Defences against shortcuts, patch by patch (Doersch, Gupta, Efros, ICCV 2015, section 3.1, and the released code)."""

import numpy as np
import torch

from rotnet_lib.pretext.parts.resizing import resizing_matrix

_PUBLISHED_SIDE, _FEWEST = 96, 10
"""The published patch, in pixels, and the side of the smallest that it is shrunk to."""
_FLAT = 1e-5 * 255
"""A deviation below which a patch is flat: it is not divided by that."""
_RMS = 50.0


def projected(patches: torch.Tensor) -> torch.Tensor:
    """Colours without their part along green against magenta, (-1, 2, -1), where the chromatic aberration of lenses is.

    Args:
        patches: (n, 3, p, p) float.

    Returns the same shape and dtype: RGB times I - a^T a / (a a^T). Sums are elementwise: a product of matrices would be
    rounded on a GPU.
    """
    red, green, blue = patches.unbind(1)
    along = (2 * green - red - blue) / 6
    return torch.stack([red + along, green - 2 * along, blue + along], 1)


def one_colour(patches: torch.Tensor, kept: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """One colour plane of each patch; noise in place of the others.

    Args:
        patches: (n, 3, p, p) float, each plane of zero mean.
        kept: (n,) int64 in [0, 3), the plane that stays.
        noise: broadcast to the patches' shape.
    """
    stays = kept[:, None] == torch.arange(patches.shape[1], device=patches.device)
    return torch.where(stays[:, :, None, None], patches, noise)


def of_unit_contrast(patches: torch.Tensor) -> torch.Tensor:
    """Patches (n, 3, p, p) float divided by the root mean square over all their planes, times 50, as the released code does.

    A flat patch is not divided by its deviation.
    """
    deviation = patches.square().mean((1, 2, 3), keepdim=True).sqrt()
    return patches / torch.where(deviation < _FLAT, 1.0, deviation) * _RMS


def pixelating_matrices(side: int) -> np.ndarray:
    """What makes a patch coarser: it is shrunk to a smaller side and enlarged again, linearly.

    The smaller sides are 10 to 95 of a patch of 96 pixels, and in proportion.

    Args:
        side: of a patch, p, in pixels.

    Returns (m, p, p) float32: the first leaves a patch as it is, the others are by the smaller side, the smallest first.
    """
    found = [np.eye(side, dtype=np.float32)]
    found += [
        resizing_matrix("linear", size, side) @ resizing_matrix("linear", side, size) for size in range(fewest(side), side)
    ]
    return np.stack(found)


def fewest(side: int) -> int:
    """The smallest side that a patch of that side is shrunk to, in pixels, at least 1."""
    return max(1, round(side * _FEWEST / _PUBLISHED_SIDE))


def coarser(draw: torch.Tensor, side: int) -> torch.Tensor:
    """Which of `pixelating_matrices` a uniform number asks for: the number of pixels that are left is uniform.

    Args:
        draw: int64 in [0, 2^16).
        side: of a patch, at least 2.

    Returns int64 in [1, m), of the same shape.
    """
    least = fewest(side) ** 2
    pixels = least + draw * ((side - 1) ** 2 - least + 1) / 2**16
    return pixels.sqrt().floor().long() - fewest(side) + 1
