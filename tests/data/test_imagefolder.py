"""`imagefolder:/path`: anybody's own images."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.source import cache_root, open_source
from rotnet_lib.data.spec import DataSpec

Folder = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


def test_folders_become_splits_and_classes(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path / "pets", train={"dog": 3, "cat": 2}, test={"cat": 1, "dog": 1})
    data = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.image_size == 32
    assert "pets" in data.title
    for image, name in zip(data.test.images, ("cat", "dog"), strict=True):
        np.testing.assert_array_equal(image.numpy(), np.asarray(Image.open(root / "test" / name / "0.png")))
    pixels = data.train.images.numpy().reshape(-1, 3)
    np.testing.assert_allclose(data.mean, pixels.mean(0), atol=0.006)


def test_images_are_resized_to_the_size_asked_for(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, size=40, train={"cat": 2}, test={"cat": 2})
    assert load_dataset(DataSpec(f"imagefolder:{root}", image_size=24)).train.images.shape == (2, 24, 24, 3)
    prints = {open_source(f"imagefolder:{root}", size).fingerprint for size in (None, 24, 32)}
    assert len(prints) == 2  # 32 unless said otherwise


def test_the_path_may_be_relative_to_the_working_directory(tmp_path: Path, folder: Folder) -> None:
    folder(tmp_path / "pets", train={"cat": 1}, test={"cat": 1})
    assert len(load_dataset(DataSpec("imagefolder:pets")).train) == 1


def test_test_may_be_called_val(tmp_path: Path, folder: Folder) -> None:
    folder(tmp_path, train={"cat": 3}, val={"cat": 2})
    assert len(load_dataset(DataSpec(f"imagefolder:{tmp_path}")).test) == 2
    folder(tmp_path, test={"cat": 1})
    assert len(load_dataset(DataSpec(f"imagefolder:{tmp_path}")).test) == 1  # test wins where there are both


def test_a_folder_that_grew_is_decoded_again(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, train={"cat": 2}, test={"cat": 1})
    before = load_dataset(DataSpec(f"imagefolder:{root}"))
    Image.new("RGB", (32, 32)).save(root / "train" / "cat" / "new.png")
    after = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert (len(before.train), len(after.train)) == (2, 3)
    assert before.fingerprint != after.fingerprint


def test_an_image_moved_to_the_other_split_is_noticed(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, train={"cat": 3}, test={"cat": 2})
    for name in ("8.png", "9.png"):
        (root / "test" / "cat" / f"{int(name[0]) - 8}.png").rename(root / "test" / "cat" / name)
    before = load_dataset(DataSpec(f"imagefolder:{root}"))
    (root / "test" / "cat" / "8.png").rename(root / "train" / "cat" / "8.png")
    after = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert [len(before.train), len(before.test)] == [3, 2]
    assert [len(after.train), len(after.test)] == [4, 1]


def test_a_second_look_reads_the_cache(tmp_path: Path, folder: Folder) -> None:
    """Shown by a cache with other pixels: they are taken as they are."""
    root = folder(tmp_path, train={"cat": 3, "dog": 1}, test={"cat": 1, "dog": 1})
    first = load_dataset(DataSpec(f"imagefolder:{root}"))
    second = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert torch.equal(first.train.images, second.train.images)
    assert first.train.labels.tolist() == second.train.labels.tolist() == [0, 0, 0, 1]
    [path] = cache_root().glob("*-train-*")
    changed: dict[str, np.ndarray] = {"images": np.zeros((4, 32, 32, 3), np.uint8), "labels": np.array([0, 0, 0, 1], np.int64)}
    checksum = zlib.crc32(changed["labels"].data, zlib.crc32(changed["images"].data))
    safetensors.numpy.save_file(changed, path, {"name": path.name, "crc32": f"{checksum:08x}"})
    assert load_dataset(DataSpec(f"imagefolder:{root}")).train.images.eq(0).all()


def test_an_image_that_was_changed_is_decoded_again(tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path, suffix=".bmp", train={"cat": 1}, test={"cat": 1})
    before = load_dataset(DataSpec(f"imagefolder:{root}"))
    Image.new("RGB", (32, 32), (1, 2, 3)).save(root / "train" / "cat" / "0.bmp")  # as long as the old one
    after = load_dataset(DataSpec(f"imagefolder:{root}"))
    assert before.fingerprint != after.fingerprint
    assert after.train.images[0, 0, 0].tolist() == [1, 2, 3]


# --- What can be wrong with a folder ---


def test_a_folder_that_is_not_there(tmp_path: Path, message_of: MessageOf) -> None:
    message = message_of(lambda: open_source(f"imagefolder:{tmp_path}/nowhere"))
    assert f"no folder {tmp_path}/nowhere/train" in message
    assert "/<class>/*.jpg" in message


def test_a_folder_without_a_test_split(tmp_path: Path, folder: Folder, message_of: MessageOf) -> None:
    root = folder(tmp_path, train={"cat": 1})
    assert f"no folder {root}/test" in message_of(lambda: open_source(f"imagefolder:{root}"))


def test_images_without_class_folders(tmp_path: Path, folder: Folder, message_of: MessageOf) -> None:
    root = folder(tmp_path, train={"cat": 1}, test={"cat": 1})
    (root / "train" / "cat" / "0.png").rename(root / "train" / "0.png")
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert f"no images in {root}/train" in message
    assert f"Expected {root}/train/<class>/*.jpg" in message
    assert "found: 0.png, cat" in message


def test_an_empty_folder(tmp_path: Path, message_of: MessageOf) -> None:
    (tmp_path / "train").mkdir()
    assert "found: nothing" in message_of(lambda: open_source(f"imagefolder:{tmp_path}"))


def test_classes_that_are_in_one_split_only(tmp_path: Path, folder: Folder, message_of: MessageOf) -> None:
    root = folder(tmp_path, train={"cat": 1, "dog": 1}, test={"cat": 1, "horse": 1})
    message = message_of(lambda: open_source(f"imagefolder:{root}"))
    assert "dog, horse in only one of them" in message
    assert str(root) in message


def test_an_image_cut_short_is_named(tmp_path: Path, folder: Folder, message_of: MessageOf) -> None:
    root = folder(tmp_path, suffix=".jpg", train={"cat": 5}, test={"cat": 5})
    path = root / "train" / "cat" / "3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    message = message_of(lambda: load_dataset(DataSpec(f"imagefolder:{root}")))
    assert f"damaged image {path}" in message
    assert list((tmp_path / "cache").glob("*")) == []  # nothing half decoded is kept
