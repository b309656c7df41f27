"""One backbone for several parts of an image, and a head that sees them together."""

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone


class PartsNetwork(nn.Module):
    """A backbone up to its last convolution, shared by T parts; `column`, a layer on each part; `head`, on all of them.

    Args:
        backbone: cut after its last convolution, with the stride that it is trained with.
        parts: T.
        column: map of a part (n, C, h, w) -> features (n, ...).
        head: features of an image's T parts, flattened one after the other, (B, T * features) -> what the task needs.
    """

    def __init__(self, backbone: Backbone, parts: int, column: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.parts = parts
        self.column = column
        self.head = head

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Parts (B*T, 3, p, p), the T of an image one after the other, in [0, 255], to the head's output (B, ...)."""
        columns: torch.Tensor = self.column(self.backbone(parts))
        found: torch.Tensor = self.head(columns.reshape(len(parts) // self.parts, -1))
        return found
