"""What all layers of a backbone say of single pixels (Larsson, Maire, Shakhnarovich, ECCV 2016 and CVPR 2017)."""

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.pretext.parts.dense import Sight


class HypercolumnNetwork(nn.Module):
    """A backbone, and two layers on its taps' maps, which are read at pixels and concatenated.

    Args:
        backbone: cut after its last convolution.
        size: side of the images, in pixels.
        hidden: features of the layer above the hypercolumn.
        answers: K, outputs.
        dropout: behind that layer.
    """

    def __init__(self, backbone: Backbone, size: int, hidden: int, answers: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        shapes = {tap: backbone.shape(tap, size) for tap in backbone.taps}
        blocks = list(backbone.blocks.values())
        self.sights = {tap: Sight.through(blocks[: place + 1], shapes[tap][1]) for place, tap in enumerate(backbone.taps)}
        self.head = nn.Sequential(
            nn.Linear(sum(channels for channels, _, _ in shapes.values()), hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, answers),
        )

    def forward(self, images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) in [0, 255] at pixels (B, n), int64, to answers (B * n, K), an image's one after the other."""
        maps = self.backbone.features(images, self.backbone.taps)
        read = [self.sights[tap].read(maps[tap], rows, columns) for tap in self.backbone.taps]
        found: torch.Tensor = self.head(torch.cat(read, 1).transpose(1, 2).flatten(0, 1))
        return found
