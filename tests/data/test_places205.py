"""`places205`: the authors' split files and the images they list."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.places205 import Places205
from rotnet_lib.data.source import Counts, open_source
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.stream import StreamedSplit

MessageOf = Callable[[Callable[[], object]], str]

LISTED = {
    "train": ["a/abbey/0.jpg 0", "c/church/outdoor/0.jpg 2", "a/abbey/1.jpg 0", "b/basement/0.jpg 1"],
    "val": ["/b/basement/7.jpg 1", "/a/abbey/7.jpg 0", "/c/church/outdoor/7.jpg 2"],
}


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """The root; image `n.jpg` of label l is 16 * n + l everywhere."""
    root = tmp_path / "data" / "places205"
    (root / "trainvalsplit_places205").mkdir(parents=True)
    for split, lines in LISTED.items():
        write_split(root, split, lines)
        for line in lines:
            name, label = line.split()
            path = root / "images256" / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = 16 * int(path.stem) + int(label)
            Image.new("RGB", (256, 256), (grey,) * 3).save(path, quality=100)
    return root


def write_split(root: Path, split: str, lines: list[str]) -> Path:
    path = root / "trainvalsplit_places205" / f"{split}_places205.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_images_and_labels_are_those_listed(places: Path) -> None:
    data = load_dataset(DataSpec("places205", crop_pct=0.875), workers=0)
    assert isinstance(data.train, StreamedSplit)
    assert data.classes == ("abbey", "basement", "church/outdoor")
    assert data.train.labels.tolist() == [0, 2, 0, 1]
    assert data.test.labels.tolist() == [1, 0, 2]
    assert (data.image_size, data.train.side) == (224, 256)
    images = data.test.read(range(3))
    np.testing.assert_allclose(images[:, 0, 0, 0], [16 * 7 + 1, 16 * 7, 16 * 7 + 2], atol=1)
    assert data.mean == pytest.approx((123.675, 116.28, 103.53))


def test_images_may_lie_as_the_archive_unpacks(places: Path) -> None:
    deep = places / "data" / "vision" / "torralba" / "deeplearning"
    deep.mkdir(parents=True)
    (places / "images256").rename(deep / "images256")
    assert load_dataset(DataSpec("places205"), workers=0).train.read([1]).shape == (1, 3, 224, 224)


def test_only_all_of_places_is_called_by_the_published_name(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_source("places205").title == "Places205 (part: 4 training images of 3 classes)"
    monkeypatch.setattr(Places205, "published", Counts(4, 3, 3))
    assert open_source("places205").title == Places205.published_title == "Places205"


def test_the_fingerprint_follows_the_split_files(places: Path) -> None:
    before = open_source("places205").fingerprint
    assert open_source("places205").fingerprint == before
    assert open_source("places205", 64).fingerprint != before
    write_split(places, "train", [*LISTED["train"][:3], "b/basement/7.jpg 1"])
    assert open_source("places205").fingerprint != before


# --- What can be wrong ---


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_split_file_is_named(split: str, places: Path, message_of: MessageOf) -> None:
    path = places / "trainvalsplit_places205" / f"{split}_places205.csv"
    path.unlink()
    message = message_of(lambda: open_source("places205"))
    for part in (f"no split file {path}", "Put it there", "ROTNET_DATA", "PRESET=quick needs no data"):
        assert part in message


@pytest.mark.parametrize("line", ["a/abbey/2.jpg", "a/abbey/2.jpg zero", "a/abbey/2.jpg -1", "7", "a/abbey/2.jpg,0"])
def test_a_line_that_cannot_be_read_is_named(line: str, places: Path, message_of: MessageOf) -> None:
    path = write_split(places, "train", [*LISTED["train"], "", line])
    message = message_of(lambda: open_source("places205"))
    assert f"{path}, line 6: '{line}'" in message
    assert "a/abbey/0001.jpg 0" in message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("../../secret.jpg 0", "has a path with '..' or a control character"),
        ("a/../../secret.jpg 0", "has a path with '..' or a control character"),
        ("a/abbey/\0.jpg 0", "has a path with '..' or a control character"),
        ("a/abbey/\x1b[2J.jpg 0", "has a path with '..' or a control character"),
        (f"a/abbey/2.jpg {10**30}", "is no path and label"),
        ("a/abbey/2.jpg " + "9" * 5000, "is no path and label"),
        ("a/abbey/2.jpg \u0663", "is no path and label"),
    ],
)
def test_a_path_that_leaves_the_folder_or_a_label_that_is_none_is_named_with_its_line(
    line: str, says: str, places: Path, message_of: MessageOf
) -> None:
    path = write_split(places, "train", [*LISTED["train"], line])
    message = message_of(lambda: open_source("places205"))
    assert message.startswith(f"{path}, line 5: '")
    assert says in message
    assert len(message) < 400


def test_what_a_split_file_may_not_list_is_named(places: Path, message_of: MessageOf) -> None:
    path = write_split(places, "train", [*LISTED["train"], f"a/{'x' * 300} 0"])
    assert f"{path} lists a path of 302 bytes, which begins with a/xxx" in message_of(lambda: open_source("places205"))
    write_split(places, "train", [*LISTED["train"], "/a/abbey/1.jpg 1"])
    assert f"{path} lists a/abbey/1.jpg more than once" in message_of(lambda: open_source("places205"))
    write_split(places, "train", [*LISTED["train"], "a/abbey/9.jpg 999999"])
    assert "gives a/abbey/9.jpg label 999999, which no image" in message_of(lambda: open_source("places205"))
    for split in ("train", "val"):
        write_split(places, split, [*LISTED[split], "a/abbey/9.jpg 999999"])
    assert "labels go up to 999999, but none is 3." in message_of(lambda: open_source("places205"))


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        (b"", "a class is called by the folder of its images"),
        (b"x/caf\xe9/", r"'caf\xe9' cannot be what label 3 is called"),
        (b"b/abbey/", "label 0 is called so already"),
    ],
)
def test_a_folder_that_no_class_can_be_called_by_is_named(
    folder: bytes, says: str, places: Path, message_of: MessageOf
) -> None:
    for split in ("train", "val"):
        path = write_split(places, split, LISTED[split])
        path.write_bytes(path.read_bytes() + folder + b"9.jpg 3\n")
    message = message_of(lambda: open_source("places205"))
    assert says in message
    message.encode()


def test_an_image_s_name_need_not_be_utf_8(places: Path) -> None:
    path = write_split(places, "train", LISTED["train"])
    path.write_bytes(path.read_bytes() + b"a/abbey/caf\xe9.jpg 0\n")
    Image.new("RGB", (32, 32), (9, 9, 9)).save(places / "images256" / "new.jpg")
    os.rename(places / "images256" / "new.jpg", os.fsencode(places) + b"/images256/a/abbey/caf\xe9.jpg")
    assert load_dataset(DataSpec("places205", image_size=32), workers=0).train.read([4])[0, 0, 0, 0] == 9


def test_an_empty_split_file_is_named(places: Path, message_of: MessageOf) -> None:
    path = write_split(places, "val", [])
    assert f"{path} is empty" in message_of(lambda: open_source("places205"))


def test_labels_in_one_split_only_are_named(places: Path, message_of: MessageOf) -> None:
    val = write_split(places, "val", LISTED["val"][:2])
    train = val.with_name("train_places205.csv")
    message = message_of(lambda: open_source("places205"))
    assert message.startswith(f"{train} gives c/church/outdoor/0.jpg label 2, which no image of {val} has.")
    assert "3 in train_places205.csv and 2 in val_places205.csv" in message
    write_split(places, "train", LISTED["train"][:1])
    assert message_of(lambda: open_source("places205")).startswith(f"{val} gives b/basement/7.jpg label 1, which no image of")


def test_a_gap_in_the_labels_is_named(places: Path, message_of: MessageOf) -> None:
    for split in LISTED:
        write_split(places, split, [line for line in LISTED[split] if not line.endswith("1")])
    assert "labels go up to 2, but none is 1" in message_of(lambda: open_source("places205"))


def test_missing_images_are_named(places: Path, message_of: MessageOf) -> None:
    (places / "images256" / "b" / "basement" / "0.jpg").unlink()
    message = message_of(lambda: open_source("places205"))
    assert f"there is no {places}/images256/b/basement/0.jpg" in message
    (places / "images256").rename(places / "images")
    message = message_of(lambda: open_source("places205"))
    assert f"there is no {places}/data/vision/torralba/deeplearning/images256 nor {places}/images256" in message
    for part in (f"Unpack imagesPlaces205_resize.tar.gz in {places}", "ROTNET_DATA", "PRESET=quick needs no data"):
        assert part in message
