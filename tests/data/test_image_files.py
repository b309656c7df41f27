"""Which image files are read, and which are refused with their reason: by every reader alike."""

import io
import os
import re
import socket
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.decode import decode_square
from rotnet_lib.data.decode_fast import decode_bytes, read_bytes
from rotnet_lib.data.image_files import FORMATS, DamagedImage, jpeg_size
from rotnet_lib.data.listing import EXTENSIONS

Reader = Callable[[Path], np.ndarray]

READERS: dict[str, Reader] = {
    "in memory": lambda path: decode_square(path, 16),
    "streamed": lambda path: decode_bytes(read_bytes(str(path))).permute(1, 2, 0).numpy(),
}


@pytest.fixture(params=READERS)
def read(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


def reason(read: Reader, path: Path) -> str:
    with pytest.raises(DamagedImage) as error:
        read(path)
    return str(error.value)


# --- More than 8 bits a channel ---

DEEP: dict[str, np.ndarray] = {
    "16-bit.png": np.linspace(0, 65535, 256).astype(np.uint16),
    "16-bit.tif": np.linspace(0, 65535, 256).astype(np.uint16),
    "16-bit.pgm": np.linspace(0, 65535, 256).astype(np.uint16),
    "32-bit.tif": np.linspace(0, 2**31 - 1, 256).astype(np.int32),
    "float.tif": np.linspace(0, 1, 256).astype(np.float32),
}


@pytest.mark.parametrize("name", list(DEEP))
def test_an_image_of_more_bits_is_refused_with_the_remedy(name: str, read: Reader, tmp_path: Path) -> None:
    """As 8 bits it would be white, or black, almost everywhere."""
    Image.fromarray(DEEP[name].reshape(16, 16)).save(tmp_path / name)
    message = reason(read, tmp_path / name)
    assert "8 bits a channel" in message
    assert "mode" in message


def test_colours_of_16_bits_are_read_by_their_high_byte(read: Reader, tmp_path: Path) -> None:
    """Pillow reads such a PNG right: nothing is clipped."""
    pixels = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels >> 8)


# --- Formats ---


@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_files_of_every_extension_listed_are_read(suffix: str, read: Reader, tmp_path: Path) -> None:
    mode = {".pgm": "L", ".pbm": "1"}.get(suffix, "RGB")
    Image.new(mode, (16, 16), 255).save(tmp_path / f"a{suffix}")
    assert read(tmp_path / f"a{suffix}").shape == (16, 16, 3)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.format in FORMATS


def test_of_an_animation_the_first_frame_is_read(read: Reader, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read(tmp_path / "a.gif") == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["DDS", "EPS", "ICO", "PCX", "TGA", "PDF"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_another_format_under_the_name_of_an_image_is_refused(kind: str, name: str, read: Reader, tmp_path: Path) -> None:
    """An EPS file would be handed to another program."""
    Image.new("RGB", (16, 16)).save(tmp_path / name, kind)
    assert "PNG" in reason(read, tmp_path / name)


def test_a_dds_file_of_a_kind_unknown_to_pillow_is_refused(read: Reader, tmp_path: Path) -> None:
    header = (
        b"DDS " + struct.pack("<7I44x", 124, 0x1007, 16, 16, 0, 0, 0) + struct.pack("<2I4s5I", 32, 4, b"XYZW", 0, 0, 0, 0, 0)
    )
    (tmp_path / "a.png").write_bytes(header.ljust(128, b"\0") + bytes(1024))
    assert "PNG" in reason(read, tmp_path / "a.png")


# --- Size ---


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    ("size", "culprit"),
    [((1, 1), "1 x 1"), ((7, 300), "7 x 300"), ((20_000, 1), "20000 x 1"), ((20_000, 8), "20000 x 8"), ((8, 401), "8 x 401")],
)
def test_an_image_that_is_too_small_or_too_long_is_refused(
    size: tuple[int, int], culprit: str, suffix: str, read: Reader, tmp_path: Path
) -> None:
    Image.new("RGB", size).save(tmp_path / f"a{suffix}")
    message = reason(read, tmp_path / f"a{suffix}")  # imports what it needs
    tracemalloc.start()
    reason(read, tmp_path / f"a{suffix}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert culprit in message
    assert ("at least 8" if min(size) < 8 else "at most 50") in message


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("size", [(8, 8), (8, 400), (400, 8)])
def test_an_image_within_the_bounds_is_read(size: tuple[int, int], suffix: str, read: Reader, tmp_path: Path) -> None:
    Image.new("RGB", size, (255, 255, 255)).save(tmp_path / f"a{suffix}")
    assert (read(tmp_path / f"a{suffix}") == 255).all()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif"])
def test_an_image_of_more_pixels_than_pillow_takes_is_refused(
    suffix: str, read: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow itself only warns up to twice its limit; torchvision knows none."""
    Image.new("RGB", (60, 20)).save(tmp_path / f"a{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert not read(tmp_path / f"a{suffix}").any()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    assert re.search("more than the 1198 .*that are read: make it smaller", reason(read, tmp_path / f"a{suffix}"))


def test_a_file_far_larger_than_an_image_is_refused(read: Reader, tmp_path: Path) -> None:
    """Not read: it would fill the memory."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    os.truncate(path, 2**40)  # takes no room on the disk: the file is a hole
    assert reason(read, path) == "it has 1099511627776 bytes, and an image file may have 1073741824"


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_jpeg_is_in_its_header(orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    for options in ({}, {"progressive": True}, {"comment": b"\xff\xc0 no header"}):
        Image.new("RGB", (300, 20)).save(buffer := io.BytesIO(), "JPEG", exif=tags, **options)
        assert jpeg_size(buffer.getvalue()) == (300, 20)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff", b"\xff\xd8\xff\xda\0\2", b"\xff\xd8\xff\xd9", b"\xff\xd8" + bytes(99)])
def test_a_jpeg_without_a_size_has_none(content: bytes) -> None:
    assert jpeg_size(content) is None


# --- What is no file ---


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["named pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(kind: str, read: Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            os.chdir(tmp_path)  # the path of a socket is limited to 108 bytes
            opened.bind("a.png")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert f"a {kind}, not a file" in reason(read, path)


# --- Damage of any kind ---


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_whatever_is_wrong_with_a_file_it_is_a_damaged_image(suffix: str, read: Reader, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mode = {".pgm": "L", ".pbm": "1"}.get(suffix, "RGB")
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).convert(mode).save(path := tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    for number in range(60):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(0, min(len(whole), 300))] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(0, len(whole))] if number % 3 == 0 else damaged)
        message = message_if_damaged(read, path)
        assert message is None or (message and "0x" not in message), "the address of an object says nothing"


def message_if_damaged(read: Reader, path: Path) -> str | None:
    try:
        assert read(path).dtype == np.uint8
    except DamagedImage as error:
        return str(error)
    return None


def test_pillow_does_not_warn_of_large_images(tmp_path: Path) -> None:
    """Between once and twice its limit Pillow warns, on a line for each image, and reads it all the same."""
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    script = """
import sys
from PIL import Image
from rotnet_lib.data.image_files import read_rgb
Image.MAX_IMAGE_PIXELS = 1000
read_rgb(sys.argv[1], upright=True)
"""
    command = [sys.executable, "-W", "always::Warning", "-c", script, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "DecompressionBomb" not in done.stdout + done.stderr
