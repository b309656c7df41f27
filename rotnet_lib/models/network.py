"""A backbone with its head: what pretraining trains."""

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.classifiers import global_pool_linear


class Network(nn.Module):
    """`backbone` and, on its last layer, `head`: global average pooling and a linear layer to `classes` logits.

    Args:
        backbone: what the head stands on.
        classes: number of logits.
        image_size: side of the images, in pixels.
        features: how many of the last layer's channels the head reads, the first ones; None: all.
    """

    def __init__(self, backbone: Backbone, classes: int, image_size: int, features: int | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        channels, _, _ = backbone.shape(backbone.taps[-1], image_size)
        self.features = features or channels
        self.head = global_pool_linear(self.features, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S), uint8 or float in [0, 255], to logits (N, classes)."""
        return self.answer(self.backbone(images))

    def answer(self, maps: torch.Tensor) -> torch.Tensor:
        """The last layer's output (N, C, H, W) to logits (N, classes)."""
        return self.head(maps[:, : self.features])
