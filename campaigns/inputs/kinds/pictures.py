"""Image files for kinds of input, and what Pillow alone makes of one."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
"""Pixels of the images and of what a network would see of them."""


def noise(seed: int, channels: int = 3, side: int = SIDE) -> np.ndarray:
    """(side, side, channels) uint8, smooth enough that JPEG keeps it."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 4, channels), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(small[..., c]).resize((side, side))) for c in range(channels)], -1)


def _rotated_by_tag() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6  # orientation: to be turned by a quarter
    return exif


_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8"/></rdf:RDF></x:xmpmeta>'
)
_XMP_ELSE = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
"""Content of a JPEG file's segment that says nothing of an orientation."""


def write_formats(folder: Path) -> None:
    """An image in each format that is read, in several modes."""
    rgb, grey = Image.fromarray(noise(0)), Image.fromarray(noise(1)[..., 0])
    alpha = Image.fromarray(noise(2, 4), "RGBA")
    deep = Image.fromarray(noise(3)[..., 0].astype(np.uint16) * 257)
    large = Image.fromarray(noise(4, side=80))
    wide = rgb.crop((0, 0, 32, 24))
    written: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "rgb.png": (rgb, {}),
        "grey.png": (grey, {}),
        "alpha.png": (alpha, {}),
        "palette.png": (rgb.convert("P"), {}),
        "bilevel.png": (rgb.convert("1"), {}),
        "deep.png": (deep, {}),
        "large.png": (large, {}),
        "rgb.jpg": (rgb, {"quality": 90}),
        "grey.jpg": (grey, {"quality": 90}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "progressive.jpg": (large, {"progressive": True}),
        "turned.jpg": (wide, {"exif": _rotated_by_tag()}),
        "dpi.jpg": (wide, {"exif": _rotated_by_tag(), "dpi": (72, 72)}),
        "xmp.jpg": (wide, {"xmp": _XMP}),
        "both.jpg": (wide, {"exif": _rotated_by_tag(), "xmp": _XMP}),
        "raw.tif": (rgb, {}),
        "lzw.tiff": (rgb, {"compression": "tiff_lzw"}),
        "deflate.tif": (grey, {"compression": "tiff_adobe_deflate"}),
        "still.gif": (rgb.convert("P"), {}),
        "moving.gif": (rgb.convert("P"), {"save_all": True, "append_images": [large.convert("P").resize((SIDE, SIDE))]}),
        "rgb.bmp": (rgb, {}),
        "palette.bmp": (rgb.convert("P"), {}),
        "rgb.ppm": (rgb, {}),
        "grey.pgm": (grey, {}),
        "bilevel.pbm": (rgb.convert("1"), {}),
        "lossy.webp": (rgb, {"quality": 90}),
        "whole.webp": (alpha, {"lossless": True}),
    }
    for name, (image, options) in written.items():
        image.save(folder / name, **options)  # type: ignore[arg-type]
    turned = (folder / "turned.jpg").read_bytes()
    segment = b"\xff\xe1" + (2 + len(_XMP_ELSE)).to_bytes(2, "big") + _XMP_ELSE
    (folder / "xmp-first.jpg").write_bytes(turned[:2] + segment + turned[2:])


def _upright(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8, turned as the orientation says that Pillow finds; as it is where it finds none."""
    try:
        orientation = image.getexif().get(274)
    except Exception:  # Pillow stumbles over damaged data: no orientation
        orientation = None
    pixels = np.asarray(image.convert("RGB"))
    turned = {
        2: pixels[:, ::-1],
        3: np.rot90(pixels, 2),
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    return np.ascontiguousarray(turned.get(orientation, pixels) if isinstance(orientation, int) else pixels)


def as_pillow_reads(path: Path, side: int = SIDE, *, upright: bool = True) -> np.ndarray | None:
    """(side, side, 3) uint8, by the rule in words: the first frame, upright, in RGB, the shorter side resized to `side`, the
    centre cut out. None where Pillow cannot read the file, where it has more than 8 bits a channel, and where a side is odd.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            width, height = image.size
            if min(width, height) < 8 or max(width, height) > 50 * min(width, height) or image.mode[:1] in "IF":
                return None
            image.load()
            if image.mode[:1] in "IF":
                return None
            found = Image.fromarray(_upright(image)) if upright else image.convert("RGB")
    except Exception:  # whatever Pillow makes of it: it is no image
        return None
    if found.size != (side, side):
        scale = side / min(found.size)
        wide, high = (max(side, round(length * scale)) for length in found.size)
        left, top = (wide - side) // 2, (high - side) // 2
        found = found.resize((wide, high), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    return np.asarray(found)
