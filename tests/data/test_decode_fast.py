"""Image files as pixels: every kind of JPEG as Pillow shows it, and whatever is none."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from rotnet_lib.data.decode_fast import decode_bytes, read_bytes, resize
from rotnet_lib.data.image_files import DamagedImage


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
