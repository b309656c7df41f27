"""Datasets that are streamed, shrunk, partly damaged, or too large: what `load_dataset` makes of its options."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.loader import Loader, ordered_batches
from rotnet_lib.data.source import DATASETS, open_source
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit

Folder = Callable[..., Path]
MessageOf = Callable[[Callable[[], object]], str]


@pytest.fixture
def name(tmp_path: Path, folder: Folder) -> str:
    """A dataset of 24 + 8 images of 40 pixels in two classes."""
    root = folder(tmp_path / "pets", suffix=".jpg", size=40, train={"cat": 12, "dog": 12}, test={"cat": 4, "dog": 4})
    return f"imagefolder:{root}"


def cut_short(name: str, *files: str) -> list[str]:
    paths = [Path(name.partition(":")[2]) / file for file in files]
    for path in paths:
        path.write_bytes(path.read_bytes()[:300])
    return [str(path) for path in paths]


# --- stream ---


@pytest.mark.parametrize("grey", [False, True])
def test_streamed_data_is_that_in_memory(name: str, grey: bool) -> None:
    memory, streamed = (load_dataset(DataSpec(name, 28, 0.875, grey=grey, stream=stream), workers=0) for stream in (None, True))
    assert isinstance(memory.train, Split)
    assert isinstance(streamed.train, StreamedSplit)
    for what in ("title", "classes", "image_size", "fingerprint"):
        assert getattr(memory, what) == getattr(streamed, what)
    for batches in zip(ordered_batches(memory.test), ordered_batches(streamed.test), strict=True):
        assert (batches[0].images.int() - batches[1].images.int()).abs().max() <= 2
        assert torch.equal(batches[0].labels, batches[1].labels)
    # Of the whole images in memory, of what is shown of them in a stream.
    np.testing.assert_allclose(memory.mean, streamed.mean, atol=2)
    np.testing.assert_allclose(memory.std, streamed.std, atol=2)


def test_sizes_choose_the_same_images(name: str) -> None:
    memory, streamed = (
        load_dataset(DataSpec(name, image_size=40, train_size=7, test_size=3, stream=stream), workers=0)
        for stream in (False, True)
    )
    for split in ("train", "test"):
        first, second = getattr(memory, split), getattr(streamed, split)
        assert torch.equal(first.labels, second.labels)
        assert torch.equal(first.read(range(len(first))), second.read(range(len(second))))
    pair = [data.train.first_per_class(2, data.classes) for data in (memory, streamed)]
    assert torch.equal(pair[0].read(range(4)), pair[1].read(range(4)))


def test_statistics_of_a_stream_are_of_images_spread_over_it(tmp_path: Path) -> None:
    """1024 of the 1400: not the first ones, which are cats, and not all, one of which is damaged."""
    for kind, grey in (("cat", 50), ("dog", 150)):
        for split, count in (("train", 700), ("test", 1)):
            (tmp_path / split / kind).mkdir(parents=True)
            Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / "one.jpg")
            content = (tmp_path / "one.jpg").read_bytes()
            for number in range(count):
                (tmp_path / split / kind / f"{number:03}.jpg").write_bytes(content)
    sampled = set(torch.linspace(0, 1399, 1024).round().long().tolist())
    left_out = min(set(range(700)) - sampled)
    (tmp_path / "train" / "cat" / f"{left_out:03}.jpg").write_bytes(b"")
    data = load_dataset(DataSpec(f"imagefolder:{tmp_path}", image_size=8, stream=True), workers=0, max_damaged=0.01)
    assert data.train.damaged == []
    assert data.mean == pytest.approx((100,) * 3, abs=1)
    assert data.std == pytest.approx((50,) * 3, abs=1)


@pytest.mark.parametrize("field", ["stream", "shrink"])
@pytest.mark.parametrize("name", ["shapes", "fashion-mnist"])
def test_what_has_no_files_cannot_be_streamed_or_shrunk(name: str, field: str, message_of: MessageOf) -> None:
    assert f"{field}: {name} is not made of image files" in message_of(
        lambda: load_dataset(DataSpec(name, stream=field == "stream", shrink=16 if field == "shrink" else None))
    )


def test_a_set_too_large_for_memory_says_so(name: str, monkeypatch: pytest.MonkeyPatch, message_of: MessageOf) -> None:
    needed = (24 + 8) * 32 * 32 * 3
    memory = type("Memory", (), {"available": 2 * needed - 2})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    message = message_of(lambda: load_dataset(DataSpec(name)))
    for part in ("GiB in memory (32 images of 32 x 32 pixels)", "-p stream true"):
        assert part in message
    assert len(load_dataset(DataSpec(name, stream=True), workers=0).train) == 24
    memory.available += 2  # type: ignore[attr-defined]
    assert len(load_dataset(DataSpec(name)).train) == 24


# --- Damage ---


@pytest.mark.parametrize("stream", [False, True])
def test_a_few_damaged_files_are_left_out_and_named(stream: bool, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    [path] = cut_short(name, "train/cat/3.jpg")
    for time in range(2):  # decoded; from the cache
        data = load_dataset(DataSpec(name, stream=stream), workers=0, max_damaged=0.05)
        shown = sum(len(batch) for batch in Loader(data.train, 24 if stream else 23, seed=0, augment="none").epoch(0))
        assert shown == 23
        assert data.train.damaged == ["train/cat/3.jpg"]
        assert data.test.damaged == []
        assert capsys.readouterr().out.count(path) == (1 if stream or not time else 0)
    part = data.train.first_per_class(11, data.classes)
    assert part.damaged == ["train/cat/3.jpg"]


@pytest.mark.parametrize("stream", [False, True])
def test_more_damaged_files_stop(stream: bool, name: str, message_of: MessageOf) -> None:
    paths = cut_short(name, "train/cat/3.jpg", "train/dog/3.jpg")
    spec = DataSpec(name, stream=stream)
    message = message_of(lambda: list(ordered_batches(load_dataset(spec, workers=0, max_damaged=0.05).train)))
    for part in (*paths, "2 of the 24 files of the train split", "max_damaged 0.05 allows 1"):
        assert part in message


def test_the_cache_does_not_hide_damage(name: str, message_of: MessageOf) -> None:
    cut_short(name, "train/cat/3.jpg", "train/dog/3.jpg")
    assert len(load_dataset(DataSpec(name), max_damaged=0.1).train) == 22
    message = message_of(lambda: load_dataset(DataSpec(name), max_damaged=0.05))
    assert "damaged image train/cat/3.jpg; damaged image train/dog/3.jpg" in message


# --- Sizes and names ---


@pytest.mark.parametrize(("side", "name"), [(32, "cifar10"), (28, "fashion-mnist")])
def test_a_fixed_size_is_cut_rather_than_enlarged(side: int, name: str, folder: Folder, tmp_path: Path) -> None:
    if name == "cifar10":
        classes = dict.fromkeys(DATASETS["cifar10"].classes, 1)
        folder(tmp_path / "data" / "cifar10", train=classes, test=classes)
    source = open_source(name, crop_pct=0.875)
    assert (source.side, source.image_size) == (side, round(0.875 * side))
    assert open_source(name, round(0.875 * side), 0.875).image_size == round(0.875 * side)
    with pytest.raises(Exception, match=f"has {side} x {side} images, of which crop_pct 0.875 leaves"):
        open_source(name, side, 0.875)


def test_shapes_are_drawn_at_the_side_that_is_cut_from() -> None:
    data = load_dataset(DataSpec("shapes", image_size=28, crop_pct=0.875, train_size=10, test_size=10))
    assert data.train.images.shape == (10, 32, 32, 3)
    assert data.train.read([0]).shape == (1, 3, 28, 28)
    whole = load_dataset(DataSpec("shapes", train_size=10, test_size=10))
    assert torch.equal(data.train.images, whole.train.images)


def test_shapes_have_other_drawings_by_number(message_of: MessageOf) -> None:
    plain, zero, one = (
        load_dataset(DataSpec(name, train_size=10, test_size=10)) for name in ("shapes", "shapes:0", "shapes:1")
    )
    assert torch.equal(plain.train.images, zero.train.images)
    assert (plain.title, plain.fingerprint) == (zero.title, zero.fingerprint)
    assert not torch.equal(one.train.images, zero.train.images)
    assert one.fingerprint != zero.fingerprint
    assert "drawings 1" in one.title
    for name in ("shapes:x", "shapes:-1"):
        assert f"dataset '{name}'" in message_of(lambda name=name: open_source(name))  # type: ignore[misc]


def test_what_is_published_is_known_without_the_data() -> None:
    known = {name: (DATASETS[name].published_title, DATASETS[name].published) for name in DATASETS}
    assert known == {
        "cifar10": ("CIFAR-10", (50_000, 10_000, 10)),
        "imagenet": ("ImageNet", (1_281_167, 50_000, 1000)),
        "places205": ("Places205", (2_448_873, 20_500, 205)),
        **dict.fromkeys(("fashion-mnist", "imagefolder", "shapes", "tiny-imagenet"), (None, None)),
    }
