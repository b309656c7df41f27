"""Datasets by name: opened, decoded once, cut to size."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.data import cache
from rotnet_lib.data.dataset import load_dataset
from rotnet_lib.data.listing import SplitName
from rotnet_lib.data.source import DATASETS, Source, cache_root, data_root, open_source
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.data.split import Split
from rotnet_lib.errors import RotnetError
from rotnet_lib.paths import NOTEBOOKS

MessageOf = Callable[[Callable[[], object]], str]


class Toy(Source):
    """Unbalanced labels; image i of a split is (i, 2 * i, 255 - i) at every pixel."""

    title = "toy"
    classes = ("ant", "bee", "cow")
    image_size = side = 4
    fingerprint = "toy-1"
    cached = False
    labels: Any = (0, 0, 0, 0, 1, 0, 2, 1, 0, 2, 1, 2)

    def __init__(self, argument: str, image_size: int | None, crop_pct: float) -> None: ...

    def decode(self, split: SplitName, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        number = np.arange(len(self.labels))
        colours = np.stack([number, 2 * number, 255 - number], axis=1) % 256
        images = np.broadcast_to(colours[:, None, None], (len(number), 4, 4, 3)).astype(np.uint8)
        return images, np.array(self.labels, np.int64)


@pytest.fixture
def toy() -> Iterator[type[Toy]]:
    """Registered as `toy` for one test, which may change it."""
    kind = type("Toy", (Toy,), {})
    DATASETS.register("toy")(kind)
    yield kind
    DATASETS.remove("toy")


# --- Names ---


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cifar", ["unknown dataset 'cifar'", "did you mean 'cifar10'?", "imagefolder:/path", "shapes", "fashion-mnist"]),
        ("shape", ["did you mean 'shapes'?"]),
        ("imagefolders:/tmp", ["unknown dataset 'imagefolders:/tmp'", "did you mean 'imagefolder:/path'?"]),
        ("", ["unknown dataset ''"]),
        ("imagefolder", ["imagefolder:/path"]),
        ("imagefolder:", ["imagefolder:/path"]),
        ("cifar10:x", ["'cifar10:x'", "write just cifar10"]),
        ("shapes:", ["write just shapes"]),
    ],
)
def test_wrong_names_say_what_is_right(name: str, parts: list[str], message_of: MessageOf) -> None:
    message = message_of(lambda: open_source(name))
    for part in parts:
        assert part in message


def test_data_and_cache_lie_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_root() == tmp_path / "data"
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("ROTNET_CACHE")
    assert cache_root() == tmp_path / "data" / ".cache"
    monkeypatch.setenv("ROTNET_DATA", "")
    assert data_root() == tmp_path / "data"  # below the working directory
    monkeypatch.chdir(NOTEBOOKS)  # where JupyterLab starts a notebook's kernel
    assert data_root() == NOTEBOOKS.parent / "data"
    monkeypatch.setenv("ROTNET_DATA", "~/sets")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert data_root() == tmp_path / "home" / "sets"


# --- Sizes ---


def test_all_images_unless_fewer_are_asked_for(toy: type[Toy]) -> None:
    data = load_dataset(DataSpec("toy"))
    assert data.train.labels.tolist() == list(Toy.labels)
    assert data.train.images[:, 0, 0, 0].tolist() == list(range(12))
    assert (data.name, data.title, data.classes, data.image_size) == ("toy", "toy", ("ant", "bee", "cow"), 4)
    assert data.fingerprint == "toy-1"


@pytest.mark.parametrize(
    ("size", "per_class"), [(3, [1, 1, 1]), (7, [3, 2, 2]), (9, [3, 3, 3]), (10, [4, 3, 3]), (12, [6, 3, 3])]
)
def test_a_part_is_balanced_as_far_as_the_classes_go(toy: type[Toy], size: int, per_class: list[int]) -> None:
    data = load_dataset(DataSpec("toy", train_size=size, test_size=5))
    assert np.bincount(data.train.labels).tolist() == per_class
    assert np.bincount(data.test.labels).tolist() == [2, 2, 1]
    # The first of each class, and every image with its own label.
    numbers = data.train.images[:, 0, 0, 0].tolist()
    for label, count in enumerate(per_class):
        assert {n for n in numbers if Toy.labels[n] == label} == set(np.flatnonzero(np.array(Toy.labels) == label)[:count])
    assert data.train.labels.tolist() == [Toy.labels[n] for n in numbers]


def test_shapes_of_another_size_begin_alike() -> None:
    few, many = (load_dataset(DataSpec("shapes", train_size=size, test_size=10)) for size in (20, 40))
    assert torch.equal(few.train.images, many.train.images[:20])
    assert few.fingerprint == many.fingerprint


def test_too_many_images_are_refused(toy: type[Toy], message_of: MessageOf) -> None:
    message = message_of(lambda: load_dataset(DataSpec("toy", test_size=13)))
    assert "test_size: 13" in message
    assert "the test split of toy has 12" in message


def test_first_per_class_takes_the_first_interleaved() -> None:
    labels = torch.tensor([2, 0, 0, 1, 0, 2, 1, 1, 2, 0])
    split = Split(torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 2, 2, 3), labels)
    part = split.first_per_class(2, ("ant", "bee", "cow"))
    taken = part.images[:, 0, 0, 0].tolist()
    assert set(taken[:3]) == {0, 1, 3}  # the first of each class
    assert set(taken[3:]) == {5, 2, 6}  # then the second
    assert part.labels.tolist() == labels[taken].tolist()


@pytest.mark.parametrize(("labels", "culprit"), [([0, 0, 1, 2, 2], "'bee' has 1 images"), ([0, 0, 1, 1], "'cow' has 0 images")])
def test_a_class_with_too_few_labels_is_named(labels: list[int], culprit: str, message_of: MessageOf) -> None:
    split = Split(torch.zeros(len(labels), 2, 2, 3, dtype=torch.uint8), torch.tensor(labels))
    message = message_of(lambda: split.first_per_class(2, ("ant", "bee", "cow")))
    assert "labels_per_class: 2" in message
    assert culprit in message


# --- Statistics ---


def test_statistics_are_those_of_the_training_images(toy: type[Toy]) -> None:
    toy.labels = [0, 1, 2] * 800  # more than one chunk, the last one shorter
    data = load_dataset(DataSpec("toy"))
    pixels = data.train.images.numpy().reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(data.mean, pixels.mean(0), atol=0.006)
    np.testing.assert_allclose(data.std, pixels.std(0), atol=0.006)


def test_statistics_of_the_part_trained_on(toy: type[Toy]) -> None:
    data = load_dataset(DataSpec("toy", train_size=3))
    assert data.mean[0] == pytest.approx((0 + 4 + 6) / 3, abs=0.006)


def test_an_even_colour_is_not_divided_by_zero(toy: type[Toy]) -> None:
    toy.labels = [0]
    assert load_dataset(DataSpec("toy")).std == (1.0, 1.0, 1.0)


def test_the_protocols_statistics_are_used_where_it_states_them(toy: type[Toy]) -> None:
    toy.statistics = ((1, 2, 3), (4, 5, 6))
    data = load_dataset(DataSpec("toy"))
    assert (data.mean, data.std) == ((1, 2, 3), (4, 5, 6))


# --- Grey ---


def luminance(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) to (H, W) float, by ITU-R 601, a pixel at a time."""
    return np.array([[0.299 * float(r) + 0.587 * float(g) + 0.114 * float(b) for r, g, b in row] for row in image])


def test_grey_images_have_their_luminance_in_every_channel() -> None:
    colour, grey = (load_dataset(DataSpec("shapes", train_size=10, test_size=10, grey=grey)) for grey in (False, True))
    for split in ("train", "test"):
        before, after = getattr(colour, split), getattr(grey, split)
        assert after.images.dtype == torch.uint8
        assert after.images.shape == before.images.shape
        assert torch.equal(after.labels, before.labels)
        for image, original in zip(after.images.numpy(), before.images.numpy(), strict=True):
            for channel in range(3):
                np.testing.assert_allclose(image[..., channel], luminance(original), atol=0.501)


def test_more_images_than_a_chunk_turn_grey(toy: type[Toy]) -> None:
    toy.labels = [0] * 1500
    images = load_dataset(DataSpec("toy", grey=True)).train.images.numpy()
    for image, original in zip(images, load_dataset(DataSpec("toy")).train.images.numpy(), strict=True):
        np.testing.assert_allclose(image[0, 0], luminance(original)[0, 0], atol=0.501)


@pytest.mark.parametrize("published", [None, ((1, 2, 3), (4, 5, 6))])
def test_statistics_of_grey_images_are_their_own(toy: type[Toy], published: Any) -> None:
    """Those that the protocol states are of the colours."""
    toy.statistics = published
    data = load_dataset(DataSpec("toy", grey=True))
    pixels = data.train.images.numpy().astype(np.float64)
    assert data.mean == (round(pixels.mean(), 2),) * 3
    assert data.std == (round(pixels.std(), 2),) * 3


def test_grey_is_said_in_the_title_and_not_kept_in_the_cache(toy: type[Toy]) -> None:
    toy.cached = True
    assert load_dataset(DataSpec("toy", grey=True)).title == "toy, grey"
    again = load_dataset(DataSpec("toy"))
    assert again.title == "toy"
    assert again.train.images[1, 0, 0].tolist() == [1, 2, 254]


# --- The cache ---


def test_a_cached_dataset_equals_a_fresh_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = load_dataset(DataSpec("shapes", train_size=20, test_size=10))

    def drawn_again(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(DATASETS["shapes"], "decode", drawn_again)
    cached = load_dataset(DataSpec("shapes", train_size=20, test_size=10))
    for split in ("train", "test"):
        first, second = getattr(fresh, split), getattr(cached, split)
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)
        assert second.images.dtype == torch.uint8
        assert second.labels.dtype == torch.int64
    assert (fresh.mean, fresh.std) == (cached.mean, cached.std)
    with pytest.raises(AssertionError, match="drawn again"):
        load_dataset(DataSpec("shapes", train_size=30, test_size=10))  # another size is not taken from this one


def test_a_changed_dataset_is_decoded_anew(toy: type[Toy]) -> None:
    toy.cached = True
    assert len(load_dataset(DataSpec("toy")).train) == 12
    toy.labels = [0, 1]
    assert len(load_dataset(DataSpec("toy")).train) == 12  # the fingerprint still says it is the same
    toy.fingerprint = "toy-2"
    assert len(load_dataset(DataSpec("toy")).train) == 2


def test_images_are_cached_as_they_are_however_they_lie_in_memory(toy: type[Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    """`decode` may give a view with turned axes; what safetensors writes of one is scrambled."""
    toy.cached = True
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 12), dtype=np.uint8).transpose(3, 1, 2, 0)
    monkeypatch.setattr(toy, "decode", lambda self, split, count: (images, np.array(Toy.labels, np.int64)))
    load_dataset(DataSpec("toy"))
    monkeypatch.setattr(toy, "decode", None)
    cached = load_dataset(DataSpec("toy")).train
    np.testing.assert_array_equal(cached.images.numpy(), images)
    assert cached.labels.tolist() == list(Toy.labels)


def test_the_whole_is_kept_when_a_part_is_asked_for(toy: type[Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    toy.cached = True
    load_dataset(DataSpec("toy", train_size=3, test_size=3))
    monkeypatch.setattr(toy, "decode", None)
    assert len(load_dataset(DataSpec("toy")).train) == 12


@pytest.mark.parametrize("damage", ["cut short", "empty", "text"])
def test_a_damaged_cache_file_is_named(damage: str, message_of: MessageOf) -> None:
    load_dataset(DataSpec("shapes", train_size=20, test_size=10))
    path = next(cache_root().glob("*-test-*"))
    whole = path.read_bytes()
    path.write_bytes({"cut short": whole[: len(whole) // 2], "empty": b"", "text": b"no tensors here"}[damage])
    message = message_of(lambda: load_dataset(DataSpec("shapes", train_size=20, test_size=10)))
    assert str(path) in message
    assert "Delete that file" in message


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, message_of: MessageOf
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROTNET_CACHE", str(tmp_path / "file"))
    message = message_of(lambda: load_dataset(DataSpec("shapes", train_size=10, test_size=10)))
    assert str(tmp_path / "file") in message
    assert "Set ROTNET_CACHE" in message


def test_what_needs_no_cache_leaves_none(toy: type[Toy]) -> None:
    load_dataset(DataSpec("toy"))
    assert not cache_root().exists()


def test_shapes_say_that_they_are_drawn() -> None:
    data = load_dataset(DataSpec("shapes", image_size=16, train_size=10, test_size=10))
    assert "drawn" in data.title
    assert data.image_size == 16
    assert data.train.images.shape == (10, 16, 16, 3)
    assert data.fingerprint != open_source("shapes").fingerprint


def test_too_small_shapes_are_refused() -> None:
    with pytest.raises(RotnetError, match="image_size"):
        load_dataset(DataSpec("shapes", image_size=15, train_size=10, test_size=10))


def test_decoding_stops_at_an_interrupt_without_a_half_written_cache(toy: type[Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    toy.cached = True

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache.safetensors.numpy, "save_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_dataset(DataSpec("toy"))
    assert list(cache_root().iterdir()) == []
    assert len(load_dataset(DataSpec("toy")).train) == 12
