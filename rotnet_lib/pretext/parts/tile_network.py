"""One backbone for all tiles of an image, and a head that sees them together (Noroozi and Favaro 2016, section 3.1)."""

import torch
from torch import nn

from rotnet_lib.models.arch import scaled
from rotnet_lib.models.backbone import Backbone

_COLUMN, _HIDDEN = 512, 4096
"""Features of a tile and of the layer that sees all tiles, at width 1."""


class TileNetwork(nn.Module):
    """A backbone up to its last convolution, shared by T tiles; `column`, a layer on each tile; `head`, on all of them.

    Where things lie in a tile matters, so `column` reads the whole map: it is not averaged.

    Args:
        backbone: cut after its last convolution here; with the stride that it is trained with.
        tiles: T.
        side: of a tile, in pixels.
        classes: K, number of logits.
        dropout: behind `column` and the head's first layer.
    """

    def __init__(self, backbone: Backbone, tiles: int, side: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.tiles = tiles
        channels, height, width = backbone.shape(backbone.taps[-1], side)
        features, hidden = scaled(_COLUMN, backbone.width), scaled(_HIDDEN, backbone.width)
        self.column = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU(inplace=True), nn.Dropout(dropout)
        )
        self.head = nn.Sequential(
            nn.Linear(tiles * features, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Tiles (B*T, 3, p, p), the T of an image one after the other, in [0, 255], to logits (B, K)."""
        columns: torch.Tensor = self.column(self.backbone(tiles))
        logits: torch.Tensor = self.head(columns.view(len(tiles) // self.tiles, -1))
        return logits
