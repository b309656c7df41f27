"""Decoding folders of image files."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from rotnet_lib.errors import RotnetError

_DECODING = 1
"""Part of the fingerprint: raise it when `decode_square` comes to give other pixels."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def list_images(folder: Path) -> list[tuple[Path, str]]:
    """The image files of `folder/<class>/` with their class names, sorted by class, then name.

    Raises RotnetError if the folder has no such layout, saying what was expected and what was found.
    """
    if not folder.is_dir():
        raise RotnetError(f"no folder {folder}. Expected {folder}/<class>/*.jpg, one folder a class.")
    listing = [
        (path, kind.name)
        for kind in sorted(folder.iterdir())
        if kind.is_dir() and not kind.name.startswith(".")
        for path in sorted(kind.iterdir())
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    ]
    if not listing:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise RotnetError(f"no images in {folder}. Expected {folder}/<class>/*.jpg, found: {found}.")
    return listing


def fingerprint(listings: Mapping[str, list[tuple[Path, str]]], image_size: int) -> str:
    """Hex digest over split, class, name and content of every file, and over how the files are decoded."""
    digest = hashlib.sha256(f"{_DECODING} {image_size}".encode())
    for split, listing in listings.items():
        for path, kind in listing:
            digest.update(f"{split}/{kind}/{path.name}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def decode_square(path: Path, size: int) -> np.ndarray:
    """One file as (size, size, 3) uint8 RGB: shorter side resized to `size`, then the centre.

    Raises RotnetError with the file's path if it is truncated or no image.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")  # a phone's photograph may be stored on its side
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise RotnetError(f"damaged image {path}: {error}. Replace or remove that file.") from None
    if image.size != (size, size):
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)


def decode_all(listing: list[tuple[Path, str]], classes: tuple[str, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """All files as images (N, size, size, 3) uint8 and labels (N,) int64, with a progress bar."""
    index = {name: label for label, name in enumerate(classes)}
    images = np.empty((len(listing), size, size, 3), np.uint8)
    # Pillow decodes outside the interpreter lock, so threads are enough.
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda entry: decode_square(entry[0], size), listing)
        for position, image in enumerate(tqdm(decoded, "decoding images", len(listing), unit=" images", leave=False)):
            images[position] = image
    return images, np.array([index[kind] for _, kind in listing], np.int64)
