"""A network that tells clusters, whose last layer starts anew."""

import torch
from torch import nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.network import Network

_DEVIATION = 0.01
"""Of a new last layer's weights (the authors' code)."""


class ClusterNetwork(Network):
    """A `Network` to k clusters, which knows the cluster of each training image.

    Attributes:
        labels: (N,) int64, the images' clusters; -1: an image that could not be read. At first all are in one. It is no part
            of the weights; the state to go on from has it.

    Args:
        backbone, image_size: see `Network`.
        clusters: k.
        images: N.
    """

    labels: torch.Tensor

    def __init__(self, backbone: Backbone, clusters: int, image_size: int, images: int) -> None:
        super().__init__(backbone, clusters, image_size)
        self.register_buffer("labels", torch.zeros(images, dtype=torch.int64), persistent=False)

    @property
    def last(self) -> nn.Linear:
        """The last layer, (k, C)."""
        [layer] = (layer for layer in self.head.modules() if isinstance(layer, nn.Linear))
        return layer

    @torch.no_grad()
    def restart(self, rng: torch.Generator) -> None:
        """Draw the last layer anew: weights N(0, 0.01), biases 0. `rng` is on the CPU."""
        self.last.weight.copy_(_DEVIATION * torch.randn(self.last.weight.shape, generator=rng))
        self.last.bias.zero_()

    def unrectified(self, images: torch.Tensor) -> torch.Tensor:
        """What the backbone's last ReLU gets of images (n, 3, S, S), averaged over the map where it is one: (n, C)."""
        *_, last = (layer for layer in self.backbone.blocks.modules() if isinstance(layer, nn.ReLU))
        found: list[torch.Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].clone()))  # it works in place
        try:
            self.backbone(images)
        finally:
            hook.remove()
        [maps] = found
        return maps.flatten(2).mean(2) if maps.dim() > 2 else maps
