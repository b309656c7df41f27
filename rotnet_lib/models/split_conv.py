"""The first convolution of a network of two halves."""

import torch
from torch import nn
from torch.nn import functional as F


class SplitConv2d(nn.Conv2d):
    """A convolution whose first half of output channels reads the first input channel, its second half the others.

    With one input channel, both halves read that. Its weights are dense; those from a half to the other's channels are 0, have
    exactly no gradient, and stay 0. The others start as torch starts those of a convolution of so few channels.

    Args: those of `nn.Conv2d`; the number of output channels is even.
    """

    mask: torch.Tensor

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels, kernel, stride=stride, padding=padding, bias=bias)
        mask = torch.zeros(channels, channels_in, 1, 1)
        first = slice(0, channels // 2), slice(0, 1)
        second = slice(channels // 2, None), slice(1 if channels_in > 1 else 0, None)
        for rows, columns in (first, second):
            mask[rows, columns] = 1
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            # Of U(-b, b), b = 1 / sqrt(inputs), what is left has fewer inputs.
            self.weight.mul_(mask * (channels_in / mask.sum(1, keepdim=True)).sqrt())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.conv2d(images, self.weight * self.mask, self.bias, self.stride, self.padding)
