"""Decoding image files of any kind, whole or damaged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.decode import decode_square
from rotnet_lib.data.image_files import DamagedImage
from rotnet_lib.data.listing import EXTENSIONS


def save(path: Path, pixels: object, mode: str | None = None) -> Path:
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    result = decode_square(save(tmp_path / "a.png", pixels), 32)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 255, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 128), (10, 20, 30)),
        ("LA", (90, 0), (90, 90, 90)),
        ("P", 3, (200, 100, 50)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
    ],
)
def test_every_kind_of_colour_becomes_rgb(mode: str, colour: int | tuple[int, ...], expected: object, tmp_path: Path) -> None:
    image = Image.new(mode, (20, 20), colour)
    if mode == "P":
        image.putpalette([0, 0, 0] * 3 + [200, 100, 50])
    image.save(path := tmp_path / f"a.{'tif' if mode == 'CMYK' else 'png'}")
    result = decode_square(path, 16)
    assert result.shape == (16, 16, 3)
    assert (result == expected).all()


@pytest.mark.parametrize(("height", "width"), [(32, 96), (96, 32), (64, 192), (8, 24), (33, 100)])
def test_the_centre_of_a_long_image_is_kept(height: int, width: int, tmp_path: Path) -> None:
    """Red, green and blue thirds along the longer side: the middle third, a square, is green."""
    pixels = np.zeros((height, width, 3), np.uint8)
    longer = int(width > height)
    for channel in range(3):
        length = pixels.shape[longer]
        part = slice(channel * length // 3, (channel + 1) * length // 3)
        pixels[(slice(None), part)[:: 1 if longer else -1]][..., channel] = 255
    result = decode_square(save(tmp_path / "a.png", pixels), 32)
    assert result.shape == (32, 32, 3)
    inside = (slice(None), slice(2, -2))[:: 1 if longer else -1]  # the border may mix
    assert (result[inside] == (0, 255, 0)).all()


@pytest.mark.parametrize("side", [28, 32])
@pytest.mark.parametrize("size", [(31, 33), (55, 90), (95, 71), (500, 10), (8, 8), (8, 50)])
def test_no_size_gives_a_black_border(size: tuple[int, int], side: int, tmp_path: Path) -> None:
    Image.new("RGB", size, (255, 255, 255)).save(tmp_path / "a.png")
    result = decode_square(tmp_path / "a.png", side)
    assert result.shape == (side, side, 3)
    assert (result == 255).all()


def test_a_photograph_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    """Cameras store such a picture lying, with a tag; rotation is what is learnt here, so the tag counts."""
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16] = 255  # light above
    image = Image.fromarray(np.rot90(upright))
    tags = image.getexif()
    tags[0x0112] = 6  # "turn clockwise by 90 to show"
    image.save(tmp_path / "a.png", exif=tags)
    np.testing.assert_array_equal(decode_square(tmp_path / "a.png", 32), upright)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", sorted(EXTENSIONS))
def test_a_file_cut_short_anywhere_is_noticed(suffix: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = save(tmp_path / f"whole{suffix}", pixels).read_bytes()
    assert decode_square(tmp_path / f"whole{suffix}", 64).shape == (64, 64, 3)
    path = tmp_path / f"cut{suffix}"
    for length in [0, 1, 4, 10, 20, 40, 100, 200, len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedImage):
            decode_square(path, 64)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_damaged_bytes_never_escape_as_another_error(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = np.frombuffer(save(tmp_path / f"whole{suffix}", rng.integers(0, 256, (16, 16, 3))).read_bytes(), np.uint8)
    path = tmp_path / f"damaged{suffix}"
    named = 0
    for _ in range(100):
        damaged = whole.copy()
        damaged[rng.integers(0, min(len(damaged), 200), 6)] = rng.integers(0, 256, 6)
        path.write_bytes(damaged.tobytes())
        try:
            decode_square(path, 16)
        except DamagedImage:
            named += 1
    assert named > 10


@pytest.mark.parametrize("content", [b"", b"not an image", b"<html>404</html>"])
def test_what_is_no_image_is_noticed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DamagedImage):
        decode_square(path, 16)


def test_an_image_of_absurd_size_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", np.zeros((20, 20, 3)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DamagedImage):
        decode_square(path, 16)
