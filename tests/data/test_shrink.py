"""Smaller copies of image files: what they hold, made once, gone on with after a kill."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rotnet_lib.data.damage import Damage
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.listing import SPLITS, Listing, SplitName, list_images
from rotnet_lib.data.shrink import shrunk
from rotnet_lib.data.source import cache_root
from rotnet_lib.data.spec import DataSpec

MessageOf = Callable[[Callable[[], object]], str]


def picture(height: int, width: int, phase: float = 0.0) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 11 + phase + channel) + np.cos(y / 8) for channel in range(3)]
    return Image.fromarray((128 + 60 * np.stack(waves, 2)).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photographs of several sizes and kinds, two of one name, and one held sideways."""
    root = tmp_path / "photos"
    for split in ("train", "test"):
        for kind in ("a", "b"):
            (root / split / kind).mkdir(parents=True)
    tags = Image.Image().getexif()
    tags[0x0112] = 6
    picture(60, 100).save(root / "train" / "a" / "0.jpg", quality=95)
    picture(60, 100, 1).save(root / "train" / "a" / "0.png")
    picture(64, 32, 2).convert("L").save(root / "train" / "a" / "1.jpeg", quality=95)
    picture(40, 50, 3).save(root / "train" / "b" / "0.JPEG", exif=tags, quality=95)
    picture(20, 24, 4).save(root / "train" / "b" / "small.bmp")
    picture(40, 40, 5).save(root / "test" / "a" / "0.jpg")
    picture(40, 40, 6).convert("CMYK").save(root / "test" / "b" / "0.jpg")
    return root


def listings(root: Path) -> dict[SplitName, Listing]:
    return {"train": list_images(root / "train"), "test": list_images(root / "test")}


def copies(root: Path, side: int = 32, max_damaged: float = 0.5, workers: int = 0) -> dict[SplitName, Listing]:
    files = listings(root)
    damages: dict[SplitName, Damage] = {split: Damage(split, len(found), max_damaged) for split, found in files.items()}
    return shrunk(files, SPLITS, side, damages, workers)


def sizes(files: Listing) -> dict[str, tuple[int, int]]:
    return {files.name(index): Image.open(files.path(index)).size for index in range(len(files))}


def times(files: dict[SplitName, Listing]) -> dict[str, list[int]]:
    """When each copy was written, in ns."""
    return {split: [os.stat(of.path(index)).st_mtime_ns for index in range(len(of))] for split, of in files.items()}


def test_the_shorter_side_is_as_asked_for_and_never_enlarged(root: Path) -> None:
    made = copies(root)
    assert sizes(made["train"]) == {
        "a/0.jpg": (53, 32),
        "a/0.png.jpg": (53, 32),
        "a/1.jpeg": (32, 64),
        "b/0.JPEG": (32, 40),
        "b/small.bmp.jpg": (24, 20),
    }
    assert made["train"].labels.tolist() == [0, 0, 0, 1, 1]
    for files in made.values():
        for index in range(len(files)):
            with Image.open(files.path(index)) as image:
                assert (image.format, image.mode) == ("JPEG", "RGB")
                assert image.getexif().get(0x0112, 1) == 1


def test_copies_look_like_their_originals(root: Path) -> None:
    files = copies(root)["train"]
    for index, original in enumerate(("a/0.jpg", "a/0.png")):
        expected = Image.open(root / "train" / original).resize((53, 32), Image.Resampling.BILINEAR)
        difference = np.abs(np.asarray(Image.open(files.path(index))).astype(int) - np.asarray(expected))
        assert difference.mean() < 2


def test_data_made_of_copies_is_that_of_the_originals(root: Path) -> None:
    plain, memory, streamed = (
        load_dataset(DataSpec(f"imagefolder:{root}", 28, 0.875, shrink=side, stream=stream), workers=0)
        for side, stream in ((None, False), (32, False), (32, True))
    )
    assert plain.fingerprint == memory.fingerprint  # the run's parameters say that it was shrunk
    images = [data.train.read(range(5)).int() for data in (plain, memory, streamed)]
    assert (images[0] - images[1]).abs().float().mean() < 3
    assert (images[1] - images[2]).abs().max() <= 2
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_copies_are_made_once(workers: int, root: Path) -> None:
    first = copies(root, workers=workers)
    made = times(first)
    assert sum(map(len, made.values())) == 7
    second = copies(root)
    for split in ("train", "test"):
        assert first[split].names.tolist() == second[split].names.tolist()
        assert first[split].root == second[split].root
    assert times(second) == made
    assert not list(Path(first["train"].root).rglob(".*"))


def test_a_finished_copy_is_not_looked_through_again(root: Path) -> None:
    """With millions of files that would take long: what was removed from it is not missed."""
    first = copies(root)
    lost = Path(first["train"].path(2))
    lost.unlink()
    assert copies(root)["train"].names.tolist() == first["train"].names.tolist()
    assert not lost.exists()


def test_an_interrupted_copy_goes_on_where_it_was(root: Path) -> None:
    made = copies(root)["train"]
    done = Path(made.root) / "complete.json"
    done.unlink()
    os.unlink(made.path(3))
    kept = {index: os.stat(made.path(index)).st_mtime_ns for index in (0, 1, 2, 4)}
    again = copies(root)["train"]
    assert again.names.tolist() == made.names.tolist()
    assert os.path.exists(made.path(3))
    assert {index: os.stat(made.path(index)).st_mtime_ns for index in kept} == kept
    assert done.exists()


def test_other_sizes_and_other_images_have_copies_of_their_own(root: Path) -> None:
    copies(root)
    copies(root, side=24)
    picture(60, 100, 9).save(root / "train" / "a" / "0.jpg")
    copies(root)
    assert len(list(cache_root().glob("shrunk-32-*"))) == 2
    assert len(list(cache_root().glob("shrunk-24-*"))) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_damaged_originals_have_no_copy_and_are_named(
    stream: bool, root: Path, capsys: pytest.CaptureFixture[str], message_of: MessageOf
) -> None:
    path = root / "train" / "a" / "1.jpeg"
    path.write_bytes(path.read_bytes()[:200])
    for _ in range(2):  # made; from before
        data = load_dataset(DataSpec(f"imagefolder:{root}", shrink=32, stream=stream), workers=0, max_damaged=0.2)
        assert data.train.damaged == ["train/a/1.jpeg"]
        assert data.train.labels.tolist() == [0, 0, 1, 1]
        assert str(path) in capsys.readouterr().out
    message = message_of(lambda: load_dataset(DataSpec(f"imagefolder:{root}", shrink=32, stream=stream), workers=0))
    assert f"damaged image {path}" in message
    assert "max_damaged 0.001 allows 0" in message


def test_a_cache_that_cannot_be_written_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message_of: MessageOf
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "file"))
    message = message_of(lambda: copies(root))
    assert str(tmp_path / "file") in message
    assert "Set ROTNET_CACHE" in message


def test_names_as_long_as_a_file_system_takes_have_copies(root: Path) -> None:
    for end in (f"{'x' * 251}.png", f"{'y' * 250}1.jpg", f"{'y' * 250}2.jpg"):
        picture(40, 40).save(root / "train" / "a" / end)
    made = copies(root, workers=2)["train"]
    assert len(set(made.names.tolist())) == 8
    assert [size for name, size in sizes(made).items() if len(name) > 99] == 3 * [(32, 32)]
