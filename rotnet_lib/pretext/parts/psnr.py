"""Peak signal-to-noise ratio."""

import math

import torch

_EXACT = 1 / 12
"""Mean squared error of pixel values that are right but for rounding: no picture counts as better."""


def psnr(painted: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Of images (B, ...) from the true ones, both of 255: (B,) float32, in dB, at most 58.9."""
    return decibels((painted - pixels).square().flatten(1).mean(1))


def decibels(squares: torch.Tensor) -> torch.Tensor:
    """10 log10(255^2 / s) of mean squared errors s of pixel values of 255, of any shape: in dB, at most 58.9."""
    return 10 * (math.log10(255**2) - squares.clamp(min=_EXACT).log10())
