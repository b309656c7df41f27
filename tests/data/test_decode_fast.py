"""Image files as pixels: every kind of JPEG as Pillow shows it, and whatever is none."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from rotnet_lib.data.decode_fast import decode_bytes, read_bytes, resize
from rotnet_lib.data.image_files import DamagedImage, read_rgb


def photograph(height: int = 40, width: int = 56) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 9 + phase) + np.cos(y / 7 - phase) for phase in (0, 1, 2)]
    return Image.fromarray((128 + 60 * np.stack(waves, 2)).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> np.ndarray:
    image.save(buffer := io.BytesIO(), kind, **options)
    return np.frombuffer(buffer.getvalue(), np.uint8).copy()


def by_pillow(data: np.ndarray) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data.tobytes()))).convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 40}])
def test_jpegs_are_as_pillow_shows_them(mode: str, options: dict[str, Any]) -> None:
    data = encoded(photograph().convert(mode), **options)
    image = decode_bytes(data)
    assert image.dtype == torch.uint8
    assert image.shape == (3, 40, 56)
    difference = np.abs(image.permute(1, 2, 0).numpy().astype(int) - by_pillow(data))
    assert difference.max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(orientation: int) -> None:
    image = photograph()
    tags = image.getexif()
    tags[0x0112] = orientation
    data = encoded(image, exif=tags)
    upright = decode_bytes(data)
    assert upright.shape == ((3, 40, 56) if orientation < 5 else (3, 56, 40))
    assert np.abs(upright.permute(1, 2, 0).numpy().astype(int) - by_pillow(data)).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "TIFF"])
def test_other_kinds_of_files_are_read(kind: str) -> None:
    image = decode_bytes(encoded(photograph(), kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(photograph()))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_noticed(share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise)
    for content in (data[: int(share * len(data))], encoded(noise, "PNG")[: int(share * len(data))]):
        with pytest.raises(DamagedImage):
            decode_bytes(content)


def test_a_jpeg_with_an_end_but_no_pixels_is_noticed() -> None:
    data = encoded(photograph())
    with pytest.raises(DamagedImage):
        decode_bytes(np.concatenate([data[:200], data[-2:]]))


def test_a_file_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DamagedImage, match="No such file"):
        read_bytes(str(tmp_path / "a.jpg"))


@pytest.mark.parametrize(("height", "width"), [(20, 28), (61, 80), (17, 90)])
def test_resizing_is_pillows(height: int, width: int) -> None:
    result = resize(torch.from_numpy(np.array(photograph())).permute(2, 0, 1), height, width)
    expected = np.asarray(photograph().resize((width, height), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(result.permute(1, 2, 0).numpy() - expected).max() <= 1


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="8"/></rdf:RDF></x:xmpmeta>'
)
XMP_ELSE = b"\xff\xe1\0\x24http://ns.adobe.com/xap/1.0/\0<xml/>"
"""A segment that says nothing of an orientation."""


def assert_as_in_memory(data: np.ndarray) -> None:
    """The streamed image and the one in memory show the same, whatever the file says of its orientation."""
    streamed, in_memory = decode_bytes(data), np.asarray(read_rgb(io.BytesIO(data.tobytes()), upright=True))
    assert streamed.shape[1:] == in_memory.shape[:2]
    assert np.abs(streamed.permute(1, 2, 0).numpy().astype(int) - in_memory).max() <= 2


def turned(**options: Any) -> np.ndarray:
    tags = Image.Exif()
    tags[0x0112] = 6
    return encoded(photograph(), exif=tags, **options)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (turned(), (3, 56, 40)),
        (turned(xmp=XMP), (3, 56, 40)),
        (encoded(photograph(), xmp=XMP), (3, 56, 40)),
        (encoded(photograph(), exif=b"Exif\0\0II*\0\x08\0\0\0"), (3, 40, 56)),
        (np.insert(turned(), 2, np.frombuffer(XMP_ELSE, np.uint8)), (3, 56, 40)),
    ],
    ids=["exif", "exif and xmp", "xmp", "cut short", "xmp without it first"],
)
def test_a_streamed_photograph_is_turned_as_the_one_in_memory(data: np.ndarray, shape: tuple[int, ...]) -> None:
    assert decode_bytes(data).shape == shape
    assert_as_in_memory(data)


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
@pytest.mark.parametrize("options", [{}, {"dpi": (72, 72)}, {"xmp": XMP}], ids=["plain", "dpi", "xmp"])
def test_damaged_orientations_turn_both_or_neither(options: dict[str, Any]) -> None:
    data, rng = turned(**options), np.random.default_rng(0)
    start = data.tobytes().index(b"Exif")
    for _ in range(300):
        changed = data.copy()
        for place in start + rng.integers(0, 32, rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        assert_as_in_memory(changed)


@pytest.mark.filterwarnings("ignore:Tag data larger than file")
def test_a_photograph_with_an_odd_tag_is_read_upright() -> None:
    data = turned(dpi=(72, 72))
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = 6, "maker"
    whole = encoded(photograph(), exif=tags).tobytes()
    content = whole.replace(b"\x01\x0f\0\x02", b"\x01\x0f\0\x0c")  # text of a type that it cannot be
    assert content != whole
    for found in (data, np.frombuffer(content, np.uint8).copy()):
        assert decode_bytes(found).shape == (3, 56, 40)
        assert_as_in_memory(found)
