"""`shapes`: an image data set that ships with the code, as a generator.

Ten kinds of upright drawn object, one an image, of random colours, texture, size, place and slight tilt, on backgrounds
that do not tell the orientation. So rotation can be predicted from the object alone, as in photographs of things with an
up. Every image is a function of (seed, split, index): nothing is downloaded or stored, and a larger set begins with the
smaller.
"""

import numpy as np

from rotnet_lib.data.shapes.drawing import render
from rotnet_lib.data.shapes.objects import OBJECTS

__all__ = ["CLASSES", "MIN_IMAGE_SIZE", "SPLITS", "VERSION", "generate"]

VERSION = 1
"""Part of the data fingerprint: bump when any pixel changes."""

CLASSES: tuple[str, ...] = tuple(OBJECTS)
"""Names of the kinds; the label is the place in this tuple."""

SPLITS: tuple[str, ...] = ("train", "test")
"""Names of the splits; the place in this tuple seeds the images, so append only."""

MIN_IMAGE_SIZE = 16
"""Smallest side in pixels at which the objects can be told apart."""


def generate(split: str, count: int, *, seed: int = 0, image_size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Draw the first `count` images of a split.

    Image i depends on (seed, split, i) alone. Its label is i modulo the number of classes, so any prefix is balanced
    within one image.

    Args:
        split: one of `SPLITS`; splits share no image.
        count: N, how many images, 0 or more.
        seed: which of the data sets, 0 or more.
        image_size: S, the side in pixels; larger images show the same scenes in more detail.

    Returns:
        images: (N, S, S, 3) uint8 RGB.
        labels: (N,) int64, places in `CLASSES`.

    Raises:
        ValueError: unknown split, negative count or seed, or an image size below `MIN_IMAGE_SIZE`.
    """
    if split not in SPLITS:
        raise ValueError(f"shapes has no split {split!r}; choose one of {', '.join(SPLITS)}")
    if count < 0 or seed < 0:
        raise ValueError(f"count and seed must be 0 or more, got count={count} and seed={seed}")
    if image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"shapes are not recognisable below {MIN_IMAGE_SIZE}x{MIN_IMAGE_SIZE} pixels, got image_size={image_size}"
        )
    images = np.empty((count, image_size, image_size, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    for index in range(count):
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index]))
        images[index] = render(rng, CLASSES[labels[index]], image_size)
    return images, labels
