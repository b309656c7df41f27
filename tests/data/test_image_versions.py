"""Which image files are read otherwise than by an earlier version of `image_files`, and which fingerprint that gave them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data import image_files
from rotnet_lib.data.image_versions import RULES, changed_file, version_of
from rotnet_lib.data.source import Source, open_source

Folder = Callable[..., Path]
FIRST = "train/cat/0.png"


@pytest.fixture
def root(tmp_path: Path, folder: Folder) -> Path:
    return folder(tmp_path / "pets", train={"cat": 2}, test={"cat": 1})


def opened(root: Path) -> Source:
    return open_source(f"imagefolder:{root}")


def photograph(orientation: int, *, xmp: bool = False) -> bytes:
    """A JPEG of 16 x 24 pixels, no two halves alike, that says its orientation in Exif or in XMP data."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    if not xmp:
        exif[0x0112] = orientation
    said = f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode() if xmp else b""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, xmp=said)
    return file.getvalue()


# --- Fingerprints ---


def test_every_version_but_the_latest_has_a_rule() -> None:
    assert list(RULES) == list(range(1, image_files.VERSION))


def test_the_version_of_a_fingerprint_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(image_files, "VERSION", 1)
        first = opened(root).fingerprint
    source = opened(root)
    assert first != source.fingerprint
    assert [version_of(source, text) for text in (source.fingerprint, first, "0123")] == [image_files.VERSION, 1, None]
    (root / FIRST).write_bytes((root / "train/cat/1.png").read_bytes())
    assert version_of(opened(root), first) is None


def test_the_version_of_places205_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "places205"
    (folder / "images256" / "abbey").mkdir(parents=True)
    (folder / "images256" / "abbey" / "1.jpg").write_bytes(photograph(1))
    (folder / "trainvalsplit_places205").mkdir()
    for name in ("train", "val"):
        (folder / "trainvalsplit_places205" / f"{name}_places205.csv").write_text("abbey/1.jpg 0\n")
    with monkeypatch.context() as before:
        before.setattr(image_files, "VERSION", 1)
        first = open_source("places205").fingerprint
    assert version_of(open_source("places205"), first) == 1


def test_drawn_data_has_one_fingerprint_by_all_versions() -> None:
    source = open_source("shapes")
    assert source.fingerprint_of(1) == source.fingerprint_of(2) == source.fingerprint
    assert changed_file(source, 1, [], fast=False) is None


# --- What is read otherwise ---


@pytest.mark.parametrize("fast", [False, True])
def test_of_usual_images_none_is_read_otherwise(fast: bool, root: Path) -> None:
    (root / "train" / "cat" / "upright.jpg").write_bytes(photograph(1))
    assert changed_file(opened(root), 1, [], fast=fast) is None


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Image.fromarray(np.full((16, 16), 40_000, np.uint16)), "more than 8 bits"),
        (Image.new("RGB", (7, 20)), "the shorter side must be at least 8"),
        (Image.new("RGB", (8, 401)), "at most 50 times the shorter"),
    ],
)
def test_what_is_refused_today_is_named(image: Image.Image, why: str, fast: bool, root: Path) -> None:
    image.save(root / FIRST)
    found = changed_file(opened(root), 1, [], fast=fast)
    assert found
    assert found.startswith(f"{FIRST}: it is refused today: ")
    assert why in found
    assert changed_file(opened(root), 1, [FIRST], fast=fast) is None  # it was left out then as well


def test_another_format_under_the_name_of_an_image_is_named(root: Path) -> None:
    Image.new("RGB", (16, 16)).save(root / FIRST, "ICO")
    assert "none of the formats" in (changed_file(opened(root), 1, [], fast=False) or "")


@pytest.mark.parametrize("fast", [False, True])
def test_what_was_left_out_and_is_read_today_is_named(fast: bool, root: Path) -> None:
    """As a photograph with an odd tag."""
    assert changed_file(opened(root), 1, [FIRST], fast=fast) == f"{FIRST}: it was left out, and is read today"


@pytest.mark.parametrize("fast", [False, True])
def test_a_file_that_is_cut_off_was_left_out_then_and_is_today(fast: bool, root: Path) -> None:
    (root / FIRST).write_bytes((root / FIRST).read_bytes()[:500])
    assert changed_file(opened(root), 1, [FIRST], fast=fast) is None


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_photograph_that_all_readers_turned_alike_is_the_same_today(orientation: int, root: Path) -> None:
    (root / "train" / "cat" / "turned.jpg").write_bytes(photograph(orientation))
    assert [changed_file(opened(root), 1, [], fast=fast) for fast in (False, True)] == [None, None]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_photograph_that_was_turned_otherwise_when_streamed_is_named_for_such_runs(orientation: int, root: Path) -> None:
    """torchvision reads no XMP data."""
    (root / "train" / "cat" / "turned.jpg").write_bytes(photograph(orientation, xmp=True))
    assert changed_file(opened(root), 1, [], fast=False) is None
    assert (changed_file(opened(root), 1, [], fast=True) or "").startswith("train/cat/turned.jpg: it is turned otherwise today")


def test_a_photograph_with_damaged_exif_data_is_named_where_torchvision_turned_it(root: Path) -> None:
    damaged = photograph(6).replace(b"MM\x00*", b"MM\x00+")
    assert damaged != photograph(6)
    (root / "train" / "cat" / "turned.jpg").write_bytes(damaged)
    assert changed_file(opened(root), 1, [], fast=False) is None
    assert "turned otherwise" in (changed_file(opened(root), 1, [], fast=True) or "")
