"""The random transformations of Exemplar CNN (Dosovitskiy et al., NIPS 2014, section 2.1)."""

import math
from dataclasses import dataclass

import torch

from rotnet_lib.pretext.parts.hue import hsv_of, pixels_of_hsv
from rotnet_lib.pretext.parts.principal_axes import along_axes

SHIFT, TURN, HUE, OFFSET = 0.2, 20.0, 0.1, 0.1
"""Largest shift along each axis, as a share of the patch's side; turn, in degrees; change of the hue, in turns; summand of
saturation and of value, which are in [0, 1]. Each to both sides."""
SCALE, ALONG, POWER, FACTOR = (0.7, 1.4), (0.5, 2.0), (0.25, 4.0), (0.7, 1.4)
"""Smallest and largest magnification; factor along a principal axis of the colours; power and factor of saturation and of
value."""
NUMBERS = 14
"""How many numbers are drawn for a transformation."""


@dataclass(frozen=True)
class Transformations:
    """A transformation for each of B patches.

    Attributes:
        shift: (B, 2), downwards and to the right, as a share of the patch's side.
        scale: (B,), how much the content is magnified.
        turn: (B,) in degrees, counter-clockwise.
        along: (B, 3), factors along the principal axes of the patch's colours.
        power, factor, offset: (B, 2) each, of saturation and of value, which become factor * x^power + offset.
        hue: (B,) in turns, added to the hue.
    """

    shift: torch.Tensor
    scale: torch.Tensor
    turn: torch.Tensor
    along: torch.Tensor
    power: torch.Tensor
    factor: torch.Tensor
    offset: torch.Tensor
    hue: torch.Tensor

    @classmethod
    def of(cls, numbers: torch.Tensor) -> "Transformations":
        """From numbers (B, 14) float in [0, 1), within the paper's ranges; magnifications, factors and powers are spread evenly
        in the logarithm. Where all numbers are 0.5, hardly anything changes.
        """
        shift, scale, turn, along, power, factor, offset, hue = numbers.split([2, 1, 1, 3, 2, 2, 2, 1], 1)
        return cls(
            (2 * shift - 1) * SHIFT,
            _between(SCALE, scale[:, 0]),
            (2 * turn[:, 0] - 1) * TURN,
            _between(ALONG, along),
            _between(POWER, power),
            _between(FACTOR, factor),
            (2 * offset - 1) * OFFSET,
            (2 * hue[:, 0] - 1) * HUE,
        )

    @classmethod
    def none(cls, like: torch.Tensor) -> "Transformations":
        """Those that leave B patches as they are, of the dtype and on the device of `like`, (B, ...)."""
        zero, one = like.new_zeros(len(like), 2), like.new_ones(len(like), 3)
        return cls(zero, one[:, 0], zero[:, 0], one, one[:, :2], one[:, :2], zero, zero[:, 0])


def transformed(images: torch.Tensor, corners: torch.Tensor, side: int, by: Transformations) -> torch.Tensor:
    """A patch of each image, transformed: moved, magnified and turned, then in contrast along its principal axes, then in HSV.

    Pixels come from the whole image, wherever a patch is moved to; beyond its edges it is mirrored. They are interpolated
    linearly. After each change of contrast pixels are clipped to their range.

    Args:
        images: (B, 3, S, S) float in [0, 255].
        corners: (B, 2), row and column of the first pixel of each patch.
        side: of the patches in pixels, at most S.
        by: of the images' dtype, and on their device.

    Returns (B, 3, side, side) in [0, 255], of the images' dtype, in channels-last memory.
    """
    with torch.autocast(images.device.type, enabled=False):
        patches = along_axes(_placed(images, corners, side, by), by.along).clamp(0, 255)
        hue, *others = hsv_of(patches)
        saturation, value = (
            (by.factor[:, each, None, None] * others[each] ** by.power[:, each, None, None] + by.offset[:, each, None, None])
            for each in range(2)
        )
        found = pixels_of_hsv(hue + by.hue[:, None, None], saturation.clamp(0, 1), value.clamp(0, 1))
    return found.contiguous(memory_format=torch.channels_last)


def _placed(images: torch.Tensor, corners: torch.Tensor, side: int, by: Transformations) -> torch.Tensor:
    last = images.shape[-1] - 1
    span = torch.arange(side, device=images.device, dtype=images.dtype) - (side - 1) / 2
    middle = corners + (side - 1) / 2
    # Where a pixel of the patch comes from: the content moves and turns the other way than what looks it up.
    down, right = span[None, :, None], span[None, None, :]
    angle = by.turn[:, None, None] * (math.pi / 180)
    cosine, sine = angle.cos() / by.scale[:, None, None], angle.sin() / by.scale[:, None, None]
    row, column = ((middle - by.shift * side)[:, axis, None, None] for axis in range(2))
    places = torch.stack([column + cosine * right - sine * down, row + sine * right + cosine * down], 3)
    grid = places * (2 / last) - 1
    return torch.nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=True)


def _between(ends: tuple[float, float], numbers: torch.Tensor) -> torch.Tensor:
    """Numbers in [0, 1) to values between two ends, uniformly in the logarithm."""
    low, high = (math.log(end) for end in ends)
    return (low + (high - low) * numbers).exp()
