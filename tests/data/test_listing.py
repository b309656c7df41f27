"""The image files of a split: found, decoded together, and told from others by their fingerprint."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from rotnet_lib.data.damage import Damage
from rotnet_lib.data.decode import decode_all
from rotnet_lib.data.listing import Listing, fingerprint, list_images

Folder = Callable[..., Path]


def names(found: Listing) -> list[str]:
    return [found.name(index) for index in range(len(found))]


def test_images_and_labels_come_in_the_order_listed(tmp_path: Path, folder: Folder) -> None:
    found = list_images(folder(tmp_path, train={"bee": 12, "ant": 2}) / "train")
    assert names(found) == sorted(names(found))
    assert found.classes == ("ant", "bee")
    images, labels = decode_all(found, 32, Damage("it", len(found)))
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert labels.tolist() == [0] * 2 + [1] * 12
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image, np.asarray(Image.open(found.path(index))))


def test_only_images_in_class_folders_are_listed(tmp_path: Path, folder: Folder) -> None:
    folder(tmp_path, train={"ant": 1})
    for name in ("ant/notes.txt", "ant/.DS_Store", "ant/._0.png", "labels.csv", "stray.png"):
        (tmp_path / "train" / name).write_text("no image")
    for name in (".ipynb_checkpoints/a.png", "ant/LARGE.PNG"):
        (tmp_path / "train" / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "train" / name)
    found = list_images(tmp_path / "train")
    assert names(found) == ["ant/0.png", "ant/LARGE.PNG"]
    assert found.classes == ("ant",)


def test_a_part_has_the_files_asked_for(tmp_path: Path, folder: Folder) -> None:
    found = list_images(folder(tmp_path, train={"bee": 3, "ant": 2}) / "train")
    part = found.part(np.array([4, 0]))
    assert names(part) == ["bee/2.png", "ant/0.png"]
    assert part.labels.tolist() == [1, 0]
    assert part.sizes is not None
    assert part.sizes.tolist() == [os.path.getsize(part.path(index)) for index in (0, 1)]


def test_names_of_any_bytes_and_lengths_lead_to_their_files(tmp_path: Path) -> None:
    for kind, name in (("ä", b"short.png"), ("a longer name", "größer und länger.png".encode()), ("c", b"not \xff utf-8.png")):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (4, 4)).save(buffer := tmp_path / "0.png")
        os.rename(buffer, os.path.join(os.fsencode(tmp_path / kind), name))
    found = list_images(tmp_path)
    assert len(found) == 3
    assert all(os.path.exists(found.path(index)) for index in range(3))
    assert len(fingerprint({"train": found}, 32)) == 64


# --- Fingerprints ---


def test_the_fingerprint_changes_with_what_is_decoded(tmp_path: Path, folder: Folder) -> None:
    train = list_images(folder(tmp_path, train={"ant": 2, "bee": 1}) / "train")
    first = fingerprint({"train": train}, 32)
    assert fingerprint({"train": train}, 32) == first
    others = [
        fingerprint({"train": train}, 64),
        fingerprint({"test": train}, 32),
        fingerprint({"train": train.part(np.arange(2))}, 32),
        fingerprint({"train": train.part(np.arange(2)), "test": train.part(np.array([2]))}, 32),
        fingerprint({"train": Listing(train.root, train.names, train.labels, ("ant", "cow"), train.sizes)}, 32),
    ]
    with open(train.path(0), "ab") as file:
        file.write(b"x")
    others.append(fingerprint({"train": train}, 32))
    assert len({first, *others}) == 7


def test_the_fingerprint_does_not_change_with_the_place(tmp_path: Path, folder: Folder) -> None:
    found = [list_images(folder(tmp_path / name, train={"ant": 2}) / "train") for name in ("here", "there")]
    assert fingerprint({"train": found[0]}, 32) == fingerprint({"train": found[1]}, 32)


def test_the_fingerprint_changes_with_the_pixels(tmp_path: Path) -> None:
    """BMP is not compressed: all files of one size are equally long."""
    prints = []
    for grey in (50, 200):
        (tmp_path / str(grey) / "ant").mkdir(parents=True)
        Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / str(grey) / "ant" / "0.bmp")
        prints.append(fingerprint({"train": list_images(tmp_path / str(grey))}, 32))
    assert prints[0] != prints[1]


def test_the_fingerprint_is_of_the_version_the_names_and_the_contents(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "0.png").write_bytes(b"some bytes")
    expected = hashlib.sha256(b"2 32" + b"train/ant/0.png\n" + hashlib.sha256(b"some bytes").digest()).hexdigest()
    assert fingerprint({"train": list_images(tmp_path)}, 32) == expected


def test_of_much_data_the_sizes_count(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, suffix=".bmp", train={"ant": 2})
    large = root / "train" / "ant" / "large.bmp"
    large.touch()
    os.truncate(large, 2**30)  # takes no room on the disk: the file is a hole
    first = fingerprint({"train": list_images(root / "train")}, 32)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(root / "train" / "ant" / "0.bmp")  # as long as the old one
    assert fingerprint({"train": list_images(root / "train")}, 32) == first
    Image.new("RGB", (30, 30)).save(root / "train" / "ant" / "0.bmp")
    second = fingerprint({"train": list_images(root / "train")}, 32)
    (root / "train" / "ant" / "1.bmp").rename(root / "train" / "ant" / "2.bmp")
    assert len({first, second, fingerprint({"train": list_images(root / "train")}, 32)}) == 3


def test_contents_are_not_read_where_nobody_looked_at_the_sizes(tmp_path: Path, folder: Folder) -> None:
    """As of Places205, whose split files name two million images."""
    train = dataclasses.replace(list_images(folder(tmp_path, train={"ant": 2}) / "train"), sizes=None)
    first = fingerprint({"train": train}, 32)
    for index in range(2):
        Path(train.path(index)).write_bytes(b"something else")
    assert fingerprint({"train": train}, 32) == first
    assert len({first, fingerprint({"train": train.part(np.array([1]))}, 32), fingerprint({"train": train}, 64)}) == 3


def test_a_link_that_leads_nowhere_is_listed_for_the_decoder_to_name(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, train={"ant": 1})
    (root / "train" / "ant" / "link.png").symlink_to(tmp_path / "nowhere.png")
    found = list_images(root / "train")
    assert names(found) == ["ant/0.png", "ant/link.png"]
    assert len(fingerprint({"train": found}, 32)) == 64
