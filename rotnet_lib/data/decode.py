"""Decoding of image files with Pillow: one at a time, or all of a split into memory."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from tqdm import tqdm

from rotnet_lib.data.damage import Damage
from rotnet_lib.data.image_files import DamagedImage, read_rgb
from rotnet_lib.data.listing import Listing


def decode_square(path: str | os.PathLike[str], size: int) -> np.ndarray:
    """One file as (size, size, 3) uint8 RGB: the shorter side resized to `size`, then the centre cut out.

    Raises DamagedImage as `read_rgb` does.
    """
    image = read_rgb(path, upright=True)
    if image.size != (size, size):
        height, width = resized(image.height, image.width, size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)


def resized(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of an image whose shorter side was resized to `side`."""
    scale = side / min(height, width)
    return max(side, round(height * scale)), max(side, round(width * scale))


def decode_all(listing: Listing, size: int, damage: Damage) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, size, size, 3) uint8 and labels (N,) int64 of all files that can be read, with a progress bar.

    Raises RotnetError if more files are damaged than `damage` allows.
    """
    images = np.empty((len(listing), size, size, 3), np.uint8)
    kept = np.ones(len(listing), bool)

    def decode(index: int) -> None:
        try:
            images[index] = decode_square(listing.path(index), size)
        except DamagedImage as error:
            kept[index] = False
            reasons[index] = str(error)

    reasons: dict[int, str] = {}
    # Pillow decodes outside the interpreter lock, so threads are enough.
    with ThreadPoolExecutor() as pool:
        done = tqdm(pool.map(decode, range(len(listing))), "decoding images", len(listing), unit=" images", leave=False)
        try:
            for index, _ in enumerate(done):
                if index in reasons:
                    damage.add(listing, index, reasons[index])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return (images, listing.labels) if kept.all() else (images[kept], listing.labels[kept])
