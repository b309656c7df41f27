"""Masks of arbitrary shapes: which pixels of an image are removed (Pathak et al., CVPR 2016, section 3.4, "random region")."""

import math

import torch

from rotnet_lib.data.loader import Batch
from rotnet_lib.pretext.parts.tiles import cut_tiles

SPREAD = 0.2
"""The removed share of an image lies within this part of the average: 0.2 to 0.3 of the pixels for an average of 0.25."""

_FINE = 1_000_000
"""Steps of the noise and of the removed share."""
_KEPT = 61
"""Masks for test images; a prime, so that a split in the order of its classes does not meet them in a period of its own."""


class RegionMasks:
    """Draws masks for square images, without a wait for the device.

    Noise, uniform and independent from cell to cell, is enlarged by cubic interpolation and cut at a random place; the pixels of
    the lowest values are removed. That is how the authors' released code makes masks, whose cells are 1/0.06 pixels wide. Its
    threshold is fixed, and masks are redrawn until they remove 0.2 to 0.3 of the pixels; here each threshold removes the drawn
    share exactly. Each image has a mask of its own, unrelated to what it shows.

    Args:
        side: of the images, in pixels.
        cell: side of a cell of the noise, in pixels, in [1, side].
        removed: share of the pixels that is removed on average, in (0, 1 / (1 + SPREAD)).
    """

    def __init__(self, side: int, cell: float, removed: float) -> None:
        self.side = side
        self.removed = removed
        self.phases = math.ceil(cell)  # places at which the enlarged noise can be cut, from the top and from the left
        self.cells = max(2, round((side + self.phases - 1) / cell))

    def draw(self, batch: Batch) -> torch.Tensor:
        """A mask for each image of a training batch: (B, 1, S, S) bool, True where a pixel is removed."""
        noise = batch.randint(_FINE, self.cells, self.cells)
        return self._masks(noise, batch.randint(self.phases, 2), batch.randint(_FINE))

    def of_test(self) -> torch.Tensor:
        """Masks for test images, always the same: (61, 1, S, S) bool, on the CPU."""
        rng = torch.Generator().manual_seed(0)
        noise = torch.randint(_FINE, (_KEPT, self.cells, self.cells), generator=rng)
        places = torch.randint(self.phases, (_KEPT, 2), generator=rng)
        return self._masks(noise, places, torch.randint(_FINE, (_KEPT,), generator=rng))

    def _masks(self, noise: torch.Tensor, places: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """Masks of noise (B, n, n), cut at places (B, 2) and of shares (B,), all of them int64 draws."""
        span = self.side + self.phases - 1
        field = torch.nn.functional.interpolate(noise[:, None].float() / _FINE, size=(span, span), mode="bicubic")
        values = cut_tiles(field, places[:, :1], places[:, 1:], self.side)
        part = self.removed * (1 - SPREAD + 2 * SPREAD * share / (_FINE - 1))
        count = (part * self.side**2).round().long().clamp(min=1)
        threshold = values.flatten(1).sort(1).values.gather(1, count[:, None] - 1)
        return values <= threshold[:, :, None, None]
