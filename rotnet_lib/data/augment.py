"""Random crops and flips: drawn as numbers, then cut from a batch in memory or from one file after the other.

A crop is drawn relative to its image, before the image's size is known. So the same draws serve images in memory and images
that worker processes have yet to read. Of square images the crops are the same; of an oblong one, memory holds the central
square alone, and crops of a stream are from the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rotnet_lib.data.to_device import to_device
from rotnet_lib.lazy import torch

Augment = Literal["none", "pad-crop", "random-crop", "resized-crop"]
"""none: the centre. pad-crop: a random crop after padding the centre by an eighth of the side with black (4 pixels at 32,
docs/protocol.md, "CIFAR-10"). random-crop: a random S x S window of the image whose shorter side was resized to R.
resized-crop: a random box of random area and shape, resized to S x S. With each but `none`, a random horizontal flip."""

AREA = (0.08, 1.0)
"""Share of the image that the box of a resized-crop covers."""
RATIO = (3 / 4, 4 / 3)
"""Its width over its height, uniform in the logarithm."""
_TRIES = 10
"""Boxes drawn until one fits into the image (torchvision's RandomResizedCrop, the authors' augmentation)."""


@dataclass(frozen=True)
class Draws:
    """The random crops of B images, relative to their sizes.

    Attributes:
        place: (B, 2) float64 in [0, 1): position of the box from top and from left, relative to the room that it has.
        flip: (B,) bool.
        tries: (B, 10, 2) float64, share of the area and width over height; None: a random-crop.
    """

    place: np.ndarray
    flip: np.ndarray
    tries: np.ndarray | None

    def part(self, kept: slice | Sequence[int]) -> Draws:
        """The crops of some of the images."""
        return Draws(self.place[kept], self.flip[kept], None if self.tries is None else self.tries[kept])


def draw(kind: Augment, count: int, rng: np.random.Generator) -> Draws | None:
    """The crops of `count` images; None for the kinds that draw none here: `none`, and `pad-crop` (see `draw_shifts`)."""
    if kind in ("none", "pad-crop"):
        return None
    place = rng.random((count, 2))
    flip = rng.random(count) < 0.5
    if kind == "random-crop":
        return Draws(place, flip, None)
    low, high = np.array([AREA, np.log(RATIO)]).T
    tries = low + (high - low) * rng.random((count, _TRIES, 2))
    tries[..., 1] = np.exp(tries[..., 1])
    return Draws(place, flip, tries)


def boxes(draws: Draws, heights: np.ndarray, widths: np.ndarray, size: int) -> np.ndarray:
    """The boxes of the crops in images of known sizes.

    Args:
        draws: of B images.
        heights, widths: (B,) int64, pixels.
        size: S, of a random-crop; at most the shorter side.

    Returns:
        (B, 4) int64: top, left, height, width, inside the image. S x S of a random-crop; of a resized-crop the first of its
        tries that fits, else the largest central box whose shape is allowed.
    """
    if draws.tries is None:
        height = width = np.full(len(heights), size)
        return _placed(draws.place, height, width, heights, widths)
    area = draws.tries[..., 0] * (heights * widths)[:, None]
    width = np.rint(np.sqrt(area * draws.tries[..., 1])).astype(np.int64)
    height = np.rint(np.sqrt(area / draws.tries[..., 1])).astype(np.int64)
    fits = (width > 0) & (width <= widths[:, None]) & (height > 0) & (height <= heights[:, None])
    rows, first = np.arange(len(fits)), fits.argmax(1)
    height, width, some = height[rows, first], width[rows, first], fits[rows, first]
    found = _placed(draws.place, height, width, heights, widths)
    if some.all():
        return found
    height = np.minimum(heights, np.rint(widths / RATIO[0]).astype(np.int64))
    width = np.minimum(widths, np.rint(heights * RATIO[1]).astype(np.int64))
    central = np.stack([(heights - height) // 2, (widths - width) // 2, height, width], 1)
    return np.where(some[:, None], found, central)


def _placed(place: np.ndarray, height: np.ndarray, width: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    top = (place[:, 0] * (heights - height + 1)).astype(np.int64)
    left = (place[:, 1] * (widths - width + 1)).astype(np.int64)
    return np.stack([top, left, height, width], 1)


def centre(images: torch.Tensor, size: int) -> torch.Tensor:
    """The middle S x S of images (B, H, W, C), as a view."""
    top, left = ((side - size) // 2 for side in images.shape[1:3])
    return images[:, top : top + size, left : left + size]


def cut(images: torch.Tensor, index: torch.Tensor, draws: Draws, size: int) -> torch.Tensor:
    """The crops of some of the images of a split in memory, all at once.

    Args:
        images: (N, R, R, C) uint8, on any device.
        index: (B,) int64, places of the images, on that device.
        draws: the crops of those B images.
        size: S.

    Returns:
        (B, S, S, C) uint8. A random-crop is exact; a resized-crop is interpolated linearly, with antialiasing where it shrinks.
    """
    side, device = images.shape[1], images.device
    all_sides = np.full(len(index), side)
    found = boxes(draws, all_sides, all_sides, size)
    if draws.tries is None:
        places = np.concatenate([found[:, :2], draws.flip[:, None]], 1)
        top, left, flip = to_device(torch.from_numpy(places), device).unsqueeze(2).unbind(1)
        columns = torch.arange(size, device=device)
        columns = torch.where(flip.bool(), size - 1 - columns, columns) + left
        rows = torch.arange(size, device=device) + top
        return images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    top, left, height, width = to_device(torch.from_numpy(found), device).unbind(1)
    rows = resampling(top, height, side, size)
    columns = resampling(left, width, side, size)
    flip = to_device(torch.from_numpy(draws.flip), device)
    columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    # Two products, over rows and over columns, instead of four gathers a pixel.
    planes = images[index].permute(0, 3, 1, 2).float().contiguous()
    result = rows[:, None] @ planes @ columns[:, None].mT
    return result.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def resampling(start: torch.Tensor, length: torch.Tensor, side: int, size: int) -> torch.Tensor:
    """The weights that resize a section of a line of pixels linearly, with antialiasing where it shrinks.

    Pixels outside the section have no weight, as in Pillow and torch's `interpolate(antialias=True)` of a crop.

    Args:
        start, length: (B,) int64, pixels: the section in its line.
        side: R, pixels of the line.
        size: S, pixels of the result.

    Returns:
        (B, S, R) float32; each row's sum is 1.
    """
    scale = (length / size)[:, None, None]
    support = scale.clamp(min=1.0)
    middle = start[:, None, None] + scale * (torch.arange(size, device=start.device)[None, :, None] + 0.5)
    pixels = torch.arange(side, device=start.device)[None, None]
    weights = (1 - ((pixels + 0.5 - middle) / support).abs()).clamp(min=0.0)
    inside = (pixels >= start[:, None, None]) & (pixels < (start + length)[:, None, None])
    weights = weights * inside
    return (weights / weights.sum(2, keepdim=True)).float()


def draw_shifts(count: int, padding: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A pad-crop's random numbers: shifts (2, count, 1) int64 down and right in [0, 2 * padding], flips (count, 1) bool."""
    shift = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=rng, device=rng.device)
    flip = torch.randint(0, 2, (count, 1), generator=rng, device=rng.device, dtype=torch.bool)
    return shift, flip


def crop_and_flip(images: torch.Tensor, padding: int, shift: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Crop each image after padding it with zeros, and flip it horizontally.

    Args:
        images: (B, C, H, W), any dtype.
        padding: pixels on each side.
        shift, flip: of `draw_shifts`, for these B images, on their device.

    Returns:
        (B, C, H, W) of the same dtype, in channels-last memory.
    """
    count, _, height, width = images.shape
    device = images.device
    # One gather does crop and flip: pixel (y, x) of the result comes from (row[y], column[x]) of the padded image.
    padded = torch.nn.functional.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    rows = torch.arange(height, device=device) + shift[0]
    columns = torch.arange(width, device=device).expand(count, width)
    columns = torch.where(flip, width - 1 - columns, columns) + shift[1]
    which = torch.arange(count, device=device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
