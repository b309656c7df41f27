"""From RGB pixels to zero mean and unit variance: the first module of a backbone."""

from collections.abc import Sequence

import torch
from torch import nn


class Normalize(nn.Module):
    """uint8 or float images in [0, 255], (N, 3, H, W), to zero mean and unit variance of each channel.

    Part of the backbone, so the weights carry the statistics they were trained with. The module of another kind of input
    (`models/inputs.py`) is derived from this one.

    Args:
        mean, std: R, G and B of the training images, of 255.

    Attributes:
        mean, std: the same, (1, 3, 1, 1) float32.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.to(self.mean.dtype) - self.mean) / self.std

    def pixels(self, normal: torch.Tensor) -> torch.Tensor:
        """What `forward` makes `normal`, (N, 3, H, W) float, of: for tasks that normalise their inputs themselves.

        May lie outside of [0, 255]. Raises NotImplementedError for another kind of input than RGB.
        """
        if type(self) is not Normalize:
            raise NotImplementedError(f"{type(self).__name__} cannot be undone")
        return normal * self.std + self.mean


class TanhRange(Normalize):
    """The same to [-1, 1], whatever the training images: the range of tanh, in which a generator makes pictures."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(self.mean.dtype) / 127.5 - 1

    def pixels(self, normal: torch.Tensor) -> torch.Tensor:
        return (normal.to(self.mean.dtype) + 1) * 127.5
