"""Masks of arbitrary shapes: which pixels of an image are removed (Pathak et al., CVPR 2016, section 3.4, "random region")."""

import math

import torch
from torch import nn

from rotnet_lib.data.loader import Batch
from rotnet_lib.pretext.parts.removed import SPREAD
from rotnet_lib.pretext.parts.resizing import resizing_matrix, weighted
from rotnet_lib.pretext.parts.tiles import cut_tiles

_FINE = 1_000_000
"""Steps of the noise and of the removed share."""
_KEPT = 61
"""Masks for test images; a prime, so that a split in the order of its classes does not meet them in a period of its own."""
_LINES = 32
"""Rows and columns by whose pixels a threshold is chosen: sorting all of them would take longer than the network does."""


class RegionMasks(nn.Module):
    """Draws masks for square images, without a wait for the device.

    Noise, uniform and independent from cell to cell, is enlarged by cubic interpolation and cut at a random place; the pixels
    of the lowest values are removed. That is how the authors' released code makes masks, whose cells are 1/0.06 pixels wide.
    Its threshold is fixed, and masks are redrawn until they remove 0.2 to 0.3 of the pixels; here each threshold removes the
    drawn share, to within about a hundredth of the image. Each image has a mask of its own, unrelated to what it shows.

    Args:
        side: of the images, in pixels.
        cell: side of a cell of the noise, in pixels, in [1, side].
        removed: share of the pixels that is removed on average, in (0, 1 / (1 + SPREAD)).
    """

    weights: torch.Tensor
    kept: torch.Tensor

    def __init__(self, side: int, cell: float, removed: float) -> None:
        super().__init__()
        self.side = side
        self.removed = removed
        self.phases = math.ceil(cell)  # places at which the enlarged noise can be cut, from the top and from the left
        span = side + self.phases - 1
        self.cells = max(2, round(span / cell))
        self.register_buffer("weights", torch.tensor(resizing_matrix("cubic", self.cells, span)), persistent=False)
        rng = torch.Generator().manual_seed(0)
        noise = torch.randint(_FINE, (_KEPT, self.cells, self.cells), generator=rng)
        places = torch.randint(self.phases, (_KEPT, 2), generator=rng)
        kept = self._masks(noise, places, torch.randint(_FINE, (_KEPT,), generator=rng))
        self.register_buffer("kept", kept, persistent=False)

    def draw(self, batch: Batch) -> torch.Tensor:
        """A mask for each image of a training batch: (B, 1, S, S) bool, True where a pixel is removed."""
        noise = batch.randint(_FINE, self.cells, self.cells)
        return self._masks(noise, batch.randint(self.phases, 2), batch.randint(_FINE))

    def of_test(self, index: torch.Tensor) -> torch.Tensor:
        """Masks of test images, as `draw`, by their places (B,) in the split: always the same, whoever asks."""
        return self.kept[index % len(self.kept)]

    def _masks(self, noise: torch.Tensor, places: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """Masks of noise (B, n, n), cut at places (B, 2) and of shares (B,), all of them int64 draws."""
        values = cut_tiles(weighted(noise[:, None] / _FINE, self.weights), places[:, :1], places[:, 1:], self.side)
        every = max(1, self.side // _LINES)
        ordered = values[:, 0, every // 2 :: every, every // 2 :: every].flatten(1).sort(1).values
        part = self.removed * (1 - SPREAD + 2 * SPREAD * share / (_FINE - 1))
        count = (part * ordered.shape[1]).round().long().clamp(min=1)
        return values <= ordered.gather(1, count[:, None] - 1)[:, :, None, None]
