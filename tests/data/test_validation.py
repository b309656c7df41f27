"""Training images that are held out to choose settings on; the test split stays unseen."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Dataset, load_dataset
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.split import Request, Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.data.validation import held_out
from rotnet_lib.errors import RotnetError
from tests.data.conftest import Folder


def test_which_images_are_held_out_does_not_change() -> None:
    """These very places, whatever the version of numpy: runs made at other times must agree on them."""
    assert np.flatnonzero(held_out(np.arange(30), 0.2)).tolist() == [3, 6, 20, 22, 27, 28, 29]


def test_whether_an_image_is_held_out_depends_on_its_place_and_the_share_alone() -> None:
    whole = held_out(np.arange(5000), 0.1)
    assert abs(whole.mean() - 0.1) < 0.02  # 0.004 is one std
    some = np.random.default_rng(0).choice(5000, 700, replace=False)
    assert (held_out(some, 0.1) == whole[some]).all()
    assert not (whole & ~held_out(np.arange(5000), 0.2)).any()


def test_it_does_not_follow_the_order_of_the_images() -> None:
    """Images stand interleaved by class, or sorted: each class has its share, neighbours are on any two sides."""
    held = held_out(np.arange(10_000), 0.3)
    for labels in (np.arange(10_000) % 10, np.arange(10_000) // 1000):
        assert np.abs([held[labels == label].mean() - 0.3 for label in range(10)]).max() < 0.08  # 0.0145 is one std
    assert abs((held[1:] == held[:-1]).mean() - (0.3**2 + 0.7**2)) < 0.03


@pytest.mark.parametrize(
    ("count", "share", "what"), [(3, 0.001, "to validate on"), (3, 0.999, "for training"), (0, 0.5, "to validate on")]
)
def test_a_side_without_an_image_is_an_error(count: int, share: float, what: str) -> None:
    with pytest.raises(RotnetError, match=rf"validate: {share} of {count} training images leaves none {what}"):
        held_out(np.arange(count), share)


# --- A dataset ---


def images(split: Split | StreamedSplit) -> set[bytes]:
    """The images of a split that can be read."""
    assert isinstance(split, Split | StreamedSplit)
    found = set()
    for place in range(len(split)):
        with contextlib.suppress(RotnetError):  # a damaged image of a stream
            found.add(split.read([place]).numpy().tobytes())
    return found


def load(name: str, **spec: object) -> Dataset:
    return load_dataset(DataSpec(name, **spec), max_damaged=0.5, workers=0)  # type: ignore[arg-type]


def test_the_held_out_images_take_the_place_of_the_test_split() -> None:
    whole, found = load("shapes", train_size=200, test_size=10), load("shapes", train_size=200, test_size=100, validate=0.2)
    assert isinstance(whole.train, Split)
    assert isinstance(found.train, Split)
    assert isinstance(found.test, Split)
    held = torch.from_numpy(held_out(np.arange(200), 0.2))
    assert torch.equal(found.train.images, whole.train.images[~held])
    assert torch.equal(found.test.images, whole.train.images[held])
    assert torch.equal(found.test.labels, whole.train.labels[held])
    assert (found.validation, whole.validation) == (True, False)
    assert found.title == f"{whole.title} (validation split)"
    assert load("shapes", train_size=40, validate=0.2, grey=True).title == f"{whole.title} (validation split), grey"


def test_at_most_test_size_of_them_are_shown() -> None:
    found = load("shapes", train_size=400, test_size=20, validate=0.25)
    assert np.bincount(found.test.labels.numpy()).tolist() == [2] * 10


def test_a_run_on_fewer_images_holds_out_none_that_one_on_more_was_trained_on() -> None:
    many, few = (load("shapes", train_size=size, validate=0.3) for size in (300, 100))
    assert images(few.test) < images(many.test)
    assert images(few.train) < images(many.train)


@pytest.fixture
def photographs(tmp_path: Path, folder: Folder) -> str:
    """60 training images, two of which are damaged, and a test split of which none can be read."""
    root = folder(tmp_path / "photographs", size=24, train={"cat": 30, "dog": 30}, test={"cat": 1, "dog": 1})
    for name in ("train/cat/11.png", "train/dog/3.png", "test/cat/0.png", "test/dog/0.png"):
        (root / name).write_bytes(b"no image")
    return f"imagefolder:{root}"


@pytest.mark.parametrize("shrink", [None, 16])
def test_the_test_split_is_not_read(photographs: str, shrink: int | None) -> None:
    """It could not be, and its files are not counted as damaged."""
    with pytest.raises(RotnetError, match="test split"):
        load(photographs, stream=False, shrink=shrink)
    found = load(photographs, validate=0.3, stream=False, shrink=shrink)
    assert sorted({*found.train.damaged, *found.test.damaged}) == ["train/cat/11.png", "train/dog/3.png"]


def test_the_same_images_are_held_out_in_memory_and_streamed(photographs: str) -> None:
    """A damaged file has its place too."""
    memory, stream = (load(photographs, validate=0.3, stream=stream) for stream in (False, True))
    assert len(images(memory.train)) > 30
    assert images(memory.test) == images(stream.test)
    assert images(memory.train) == images(stream.train)


def test_damage_is_counted_in_both_parts_together(photographs: str) -> None:
    """Two of 60 files may be damaged, one of the few that are held out too."""
    data = load_dataset(DataSpec(photographs, validate=0.3, stream=True), max_damaged=0.034, workers=0)
    for split in (data.train, data.test):
        assert isinstance(split, StreamedSplit)
        seen = sum(len(cut.images) for cut in split.cut([Request(torch.arange(len(split)))]))
        assert seen >= len(split) - 2
    assert sorted(data.test.damaged) == sorted(data.train.damaged) == ["train/cat/11.png", "train/dog/3.png"]


@pytest.mark.parametrize("stream", [False, True])
def test_of_smaller_copies_the_same_are_held_out(stream: bool, tmp_path: Path, folder: Folder) -> None:
    root = folder(tmp_path / "photographs", size=24, train={"cat": 30, "dog": 30}, test={"cat": 1, "dog": 1})
    (root / "train" / "cat" / "0.png").write_bytes(b"no image")
    found, copies = (
        load(f"imagefolder:{root}", validate=0.3, image_size=24, shrink=shrink, stream=stream) for shrink in (None, 24)
    )
    ours, theirs = (sorted(np.frombuffer(image, np.uint8).mean() for image in images(data.test)) for data in (found, copies))
    assert len(ours) > 10
    assert np.abs(np.array(ours) - np.array(theirs)).max() < 0.5  # JPEG changes each pixel, and the mean hardly
