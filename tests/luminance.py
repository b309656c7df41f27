"""A kind of input of the tests' own: one channel."""

from collections.abc import Sequence

import torch

from rotnet_lib.models.inputs import InputKind
from rotnet_lib.models.normalize import Normalize


class Luminance(Normalize):
    """Images (N, 3, H, W), in [0, 255], to their luminance (N, 1, H, W), with the channels normalised first."""

    weights: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(mean, std)
        self.register_buffer("weights", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (super().forward(images) * self.weights).sum(1, keepdim=True)


LUMINANCE = InputKind("luminance", channels=1, make=Luminance)
