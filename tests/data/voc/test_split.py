"""A split: pixels, masks and presence as the files have them, and small enough to be handed to other processes."""

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.voc.classes import VOC_CLASSES
from rotnet_lib.data.voc.split import VocSplit

WriteVoc = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


@pytest.fixture
def split(tmp_path: Path, write_voc: WriteVoc) -> VocSplit:
    return VocSplit(write_voc(tmp_path / "VOC"), tuple(VOC_CLASSES), "trainval", ("000001", "000002"))


def test_images_are_those_of_the_files(split: VocSplit) -> None:
    image = split.image(1)
    assert image.shape == (30, 40, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.asarray(Image.open(split.folder / "JPEGImages" / "000002.jpg")))
    assert split.size(1) == (40, 30)
    assert image.flags.writeable


def test_an_image_is_not_turned_by_its_tag(split: VocSplit) -> None:
    stored = Image.fromarray(split.image(0))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(split.image_path(0), exif=exif)
    assert split.image(0).shape == (30, 40, 3)


def test_a_grey_image_has_three_channels(split: VocSplit) -> None:
    Image.new("L", (40, 30), 9).save(split.image_path(0))
    assert split.image(0).shape == (30, 40, 3)


def test_presence_leaves_out_what_is_only_difficult(split: VocSplit) -> None:
    present = split.present(0)
    assert present.dtype == np.int8
    expected = np.zeros(20)
    expected[[list(VOC_CLASSES).index(kind) for kind in ("car", "dog")]] = 1, -1
    np.testing.assert_array_equal(present, expected)
    path = split.annotation_path(0)
    path.write_text(path.read_text().replace("car", "dog"))
    assert split.present(0).sum() == 1  # one that is not difficult is enough


def test_masks_are_the_palette_s_indices(split: VocSplit) -> None:
    mask = split.mask(0)
    assert mask.shape == (30, 40)
    assert mask.dtype == np.uint8
    assert mask[10, 10] == 7
    assert mask[10, 2] == 255
    assert mask[0, 0] == 0


def test_a_split_is_small_to_hand_over(split: VocSplit) -> None:
    copy = pickle.loads(pickle.dumps(split))
    assert copy == split
    many = VocSplit(split.folder, split.classes, "trainval", tuple(f"{number:06}" for number in range(5000)))
    assert len(pickle.dumps(many)) < 100_000


def test_the_first_images(split: VocSplit, message_of: MessageOf) -> None:
    assert split.first(1).names == ("000001",)
    assert "3 images asked for, but the trainval split" in message_of(lambda: split.first(3))


def test_damaged_images_are_named(split: VocSplit, message_of: MessageOf) -> None:
    path = split.image_path(0)
    path.write_bytes(path.read_bytes()[:300])
    assert message_of(lambda: split.image(0)).startswith(f"damaged image {path}: ")
    path.write_bytes(b"no image")
    assert message_of(lambda: split.image(0)).startswith(f"damaged image {path}: ")
    path.unlink()
    assert str(path) in message_of(lambda: split.objects(0))


def test_a_mask_of_another_size_is_named(split: VocSplit, message_of: MessageOf) -> None:
    Image.new("P", (30, 40)).save(split.mask_path(0))
    message = message_of(lambda: split.mask(0))
    assert message == f"{split.mask_path(0)} is 30 x 40 pixels, but its image 000001.jpg is 40 x 30."


def test_a_mask_without_a_palette_is_named(split: VocSplit, message_of: MessageOf) -> None:
    Image.new("RGB", (40, 30)).save(split.mask_path(0))
    message = message_of(lambda: split.mask(0))
    assert message.startswith(f"{split.mask_path(0)} is an image of mode RGB. ")
    assert "1 to 20" in message


def test_a_grey_mask_has_the_ids_as_its_values(split: VocSplit) -> None:
    expected = split.mask(0)
    Image.fromarray(expected, "L").save(split.mask_path(0))
    np.testing.assert_array_equal(split.mask(0), expected)


def test_a_grey_mask_of_few_bits_is_named(split: VocSplit, message_of: MessageOf) -> None:
    """Pillow reads 1 of 2 bits as 85."""
    rows = np.zeros((30, 11), np.uint8)  # 40 pixels of 2 bits, and the filter's byte
    header = struct.pack(">IIBBBBB", 40, 30, 2, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    split.mask_path(0).write_bytes(data)
    assert "less than 8 bits" in message_of(lambda: split.mask(0))


def test_unknown_ids_in_a_mask_are_named_with_their_pixels(split: VocSplit, message_of: MessageOf) -> None:
    mask = Image.open(split.mask_path(0))
    mask.paste(21, (0, 0, 2, 3))
    mask.putpixel((30, 20), 254)
    mask.save(split.mask_path(0))
    message = message_of(lambda: split.mask(0))
    assert message.startswith(f"{split.mask_path(0)} has unknown ids: 21 (6 pixels), 254 (1 pixels). Allowed: 0 ")
