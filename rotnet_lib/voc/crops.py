"""Random squares of an image at random scales (docs/protocol.md, "PASCAL VOC": classification)."""

import numpy as np
import torch
from PIL import Image


def random_square(
    image: Image.Image, side: int, rng: np.random.Generator, *, min_scale: float = 0.5, max_scale: float = 2.0
) -> torch.Tensor:
    """A random square of the image, resized to the network's input and mirrored half the time.

    The geometry is that of philkr/voc-classification's input layer (`TransformingFastHDF5Input`, in philkr/caffe). The side of
    the window in the image is s x `side`, with s uniform in [`min_scale`, `max_scale`]; its place is uniform over all places
    inside the image. So s = 0.5 shows a small part enlarged twice. Nothing is padded: s is at most the image's shorter side
    over `side`, and equal to that if it is below `min_scale`. For a VOC image of 500 x 375, `side` 224, that is 1.67.

    That layer samples one point for each pixel; here windows that shrink are averaged (bilinear with antialiasing).

    Args:
        image: RGB, of any size.
        side: of the square, in pixels.
        rng: four numbers are drawn from it.
        min_scale, max_scale: limits of the window's side, in multiples of `side`.

    Returns:
        (3, side, side) uint8.
    """
    width, height = image.size
    high = min(max_scale, min(width, height) / side)
    low = min(min_scale, high)
    scale, across, down, mirrored = rng.random(4)
    window = min((low + (high - low) * scale) * side, width, height)
    left, top = across * (width - window), down * (height - window)
    # Rounding may put the window's end a hair outside, which Pillow does not take.
    box = (left, top, min(left + window, width), min(top + window, height))
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0))
    if mirrored < 0.5:
        pixels = pixels[:, ::-1]
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
