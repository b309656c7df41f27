"""A backbone with its head: what pretraining trains."""

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.classifiers import global_pool_linear


class Network(nn.Module):
    """`backbone` and, on its last layer, `head`: global average pooling and a linear layer to `classes` logits."""

    def __init__(self, backbone: Backbone, classes: int, image_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        channels, _, _ = backbone.shape(backbone.taps[-1], image_size)
        self.head = global_pool_linear(channels, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, S, S), uint8 or float in [0, 255], to logits (N, classes)."""
        return self.head(self.backbone(images))
