"""Resizing on the device, by matrices that hold Pillow's weights."""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from PIL import Image

Resizer = Literal["linear", "cubic", "lanczos", "area"]

RESIZERS: dict[Resizer, Image.Resampling] = {
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}


@lru_cache(1024)
def resizing_matrix(resizer: Resizer, side: int, size: int) -> np.ndarray:
    """The weights by which Pillow resizes a line of pixels, with antialiasing where it shrinks.

    Args:
        resizer: which filter.
        side: pixels of the line.
        size: pixels of the result.

    Returns (size, side) float32, which cannot be written; each row's sum is 1.
    """
    lines = Image.fromarray(np.eye(side, dtype=np.float32)).resize((size, side), RESIZERS[resizer])
    weights = np.asarray(lines, np.float32).T.copy()
    weights.flags.writeable = False
    return weights


def resize(images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Square images resized, over rows and over columns, and rounded to whole pixel values, as image libraries do.

    Args:
        images: (n, C, side, side), uint8 or float in [0, 255].
        weights: (size, side) for all or (n, 1, size, side), an image each; float32 or float64, on the same device.

    Returns (n, C, size, size) of the weights' dtype, in [0, 255].
    """
    return weighted(images, weights).round().clamp(0, 255)


def weighted(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Maps of any numbers, resized as by `resize` and not rounded."""
    with torch.autocast(maps.device.type, enabled=False):
        return weights @ maps.to(weights.dtype).contiguous() @ weights.mT
