"""Batches: a function of (seed, epoch), every image once, every crop and flip one that is allowed."""

from collections import Counter

import numpy as np
import pytest
import torch

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.loader import Batch, Loader, ordered_batches
from rotnet_lib.data.split import Split
from rotnet_lib.errors import RotnetError
from tests.data.crops import draw_of


def numbered(count: int, side: int = 8) -> Split:
    """Image i is (i, i, ...) and its label 3 * i."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, side, side, 3).contiguous()
    return Split(images, 3 * torch.arange(count))


def noise(count: int, side: int) -> Split:
    images = np.random.default_rng(0).integers(1, 256, (count, side, side, 3), dtype=np.uint8)
    return Split(torch.from_numpy(images), torch.arange(count))


def numbers(batches: list[Batch]) -> list[int]:
    """The images' numbers, in the order they came."""
    return [int(number) for batch in batches for number in batch.images.amax(dim=(1, 2, 3))]


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("images", "labels", "copies", "index"))
        for a, b in zip(first, second, strict=True)
    )


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    split = noise(20, 16)
    loader = Loader(split, 4, seed=5, augment="pad-crop")
    straight = [list(loader.epoch(number)) for number in range(3)]
    other = Loader(split, 4, seed=5, augment="pad-crop")
    torch.manual_seed(99)
    assert same(list(other.epoch(2)), straight[2])  # as after an interruption
    assert same(list(other.epoch(0)), straight[0])
    draws = [torch.rand(3, generator=batches[-1].rng) for batches in (list(loader.epoch(1)), list(other.epoch(1)))]
    assert torch.equal(*draws)  # what a task draws from a batch, too


@pytest.mark.parametrize("augment", ["none", "pad-crop", "random-crop", "resized-crop"])
def test_epochs_and_seeds_differ(augment: Augment) -> None:
    split = noise(20, 16)
    epochs = [list(Loader(split, 4, seed=seed, augment=augment).epoch(number)) for seed in (0, 1) for number in (0, 1)]
    for position, first in enumerate(epochs):
        for second in epochs[position + 1 :]:
            assert not same(first, second)
            assert [batch.labels.tolist() for batch in first] != [batch.labels.tolist() for batch in second]


def test_every_image_comes_once_with_its_label() -> None:
    batches = list(Loader(numbered(24), 6, seed=0, augment="none").epoch(0))
    assert [len(batch) for batch in batches] == [6, 6, 6, 6]
    assert sorted(numbers(batches)) == list(range(24))
    assert numbers(batches) != list(range(24))
    for batch in batches:
        assert batch.labels.tolist() == [3 * number for number in numbers([batch])]
        assert batch.index.tolist() == numbers([batch])
        assert batch.copies.eq(0).all()


def test_images_are_handed_out_as_bytes_channels_last() -> None:
    split = noise(4, 8)
    batch = next(Loader(split, 4, seed=0, augment="none").epoch(0))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (4, 3, 8, 8)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    for image, label in zip(batch.images, batch.labels.tolist(), strict=True):
        np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), split.images[label].numpy())


def test_what_is_left_over_is_dropped_but_others_each_time() -> None:
    loader = Loader(numbered(11), 4, seed=0, augment="none")
    epochs = [list(loader.epoch(number)) for number in range(12)]
    assert len(loader) == 2
    assert all([len(batch) for batch in batches] == [4, 4] for batches in epochs)
    assert all(len(set(numbers(batches))) == 8 for batches in epochs)
    assert {number for batches in epochs for number in numbers(batches)} == set(range(11))


def test_copies_are_entries_of_their_own() -> None:
    loader = Loader(numbered(6), 8, seed=0, augment="none", copies=4)
    batches = list(loader.epoch(0))
    entries = [(n, int(c)) for batch in batches for n, c in zip(numbers([batch]), batch.copies, strict=True)]
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert Counter(entries) == {(number, copy): 1 for number in range(6) for copy in range(4)}
    assert entries != sorted(entries)
    assert all(label == 3 * n for batch in batches for n, label in zip(numbers([batch]), batch.labels.tolist(), strict=True))
    assert all(batch.index.tolist() == numbers([batch]) for batch in batches)


def test_copies_of_an_image_are_augmented_apart() -> None:
    batches = Loader(noise(1, 16), 8, seed=0, augment="pad-crop", copies=8).epoch(0)
    assert len({image.numpy().tobytes() for batch in batches for image in batch.images}) > 4


def test_an_epoch_can_draw_more_images_than_there_are() -> None:
    loader = Loader(numbered(10), 5, seed=0, augment="none", epoch_images=25)
    order = numbers(list(loader.epoch(0)))
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert len(set(order[20:])) == 5
    assert [int(place) for batch in loader.epoch(0) for place in batch.index] == order


def test_an_epoch_can_draw_fewer_images_than_there_are() -> None:
    loader = Loader(numbered(10), 2, seed=0, augment="none", epoch_images=4)
    shown = [numbers(list(loader.epoch(number))) for number in range(10)]
    assert all(len(set(order)) == 4 for order in shown)
    assert set().union(*shown) == set(range(10))


@pytest.mark.parametrize(("epoch_images", "sizes"), [(None, [3]), (7, [7]), (20, [8, 8])])
def test_a_batch_may_be_larger_than_the_split(epoch_images: int | None, sizes: list[int]) -> None:
    loader = Loader(numbered(3), 8, seed=0, augment="none", epoch_images=epoch_images)
    assert [len(batch) for batch in loader.epoch(0)] == sizes
    assert len(loader) == len(sizes)


def test_test_batches_come_in_order_and_untouched() -> None:
    split = noise(11, 8)
    batches = list(ordered_batches(split, 4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(11))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(11))
    images = torch.cat([batch.images for batch in batches])
    np.testing.assert_array_equal(images.numpy().transpose(0, 2, 3, 1), split.images.numpy())


@pytest.mark.parametrize(("side", "padding"), [(32, 4), (28, 3), (16, 2)])
def test_the_padding_is_an_eighth_of_the_side(side: int, padding: int) -> None:
    split = noise(100, side)
    originals = split.images.numpy().transpose(0, 3, 1, 2)
    draws = [
        draw_of(originals[label], image, padding)
        for batch in Loader(split, 50, seed=0, augment="pad-crop").epoch(0)
        for image, label in zip(batch.images.numpy(), batch.labels.tolist(), strict=True)
    ]
    for axis in (0, 1):
        assert {0, 2 * padding} <= {draw[axis] for draw in draws}


def test_a_split_is_left_as_it_was() -> None:
    split = noise(8, 8)
    before = split.images.clone()
    for batch in Loader(split, 4, seed=0, augment="none").epoch(0):
        batch.images.add_(1)
    assert torch.equal(split.images, before)


# --- Shares ---


@pytest.mark.parametrize("kind", ["none", "pad-crop", "random-crop", "resized-crop"])
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_processes_together_see_what_one_would(kind: Augment, jitter: float) -> None:
    split = Split(noise(20, 16).images, torch.arange(20), 14)
    alone = list(Loader(split, 6, seed=3, augment=kind, colour_jitter=jitter, copies=2).epoch(1))
    shares = [
        list(Loader(split, 6, seed=3, augment=kind, colour_jitter=jitter, copies=2, share=(rank, 3)).epoch(1))
        for rank in range(3)
    ]
    assert len(alone) == 6
    for whole, parts in zip(alone, zip(*shares, strict=True), strict=True):
        for name in ("images", "labels", "copies", "index"):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
        draws = [part.randint(100) for part in parts]
        assert torch.equal(torch.cat(draws), whole.randint(100))


def test_a_batch_without_equal_parts_is_refused() -> None:
    with pytest.raises(RotnetError, match="8 images are not 3 equal parts"):
        Loader(numbered(20), 8, seed=0, augment="none", share=(0, 3))


def test_test_batches_are_dealt_out() -> None:
    shares = [[batch.index.tolist() for batch in ordered_batches(noise(11, 8), 3, (rank, 2))] for rank in range(2)]
    assert shares == [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10]]]


# --- Images larger than what is shown of them ---


@pytest.mark.parametrize("kind", ["none", "pad-crop", "random-crop", "resized-crop"])
def test_batches_have_the_size_asked_for(kind: Augment) -> None:
    split = Split(noise(8, 20).images, torch.arange(8), 16)
    batch = next(Loader(split, 8, seed=0, augment=kind).epoch(0))
    assert batch.images.shape == (8, 3, 16, 16)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    shown = next(ordered_batches(split))
    assert torch.equal(shown.images, split.images[:, 2:18, 2:18].permute(0, 3, 1, 2))
    assert torch.equal(split.read([5, 1]), shown.images[[5, 1]])
    assert split.read([5, 1]).is_contiguous(memory_format=torch.channels_last)


# --- Colours ---


def test_without_jitter_colours_stay_and_the_order_is_the_same() -> None:
    split = noise(8, 16)
    still, jittered = (
        next(Loader(split, 8, seed=0, augment="pad-crop", colour_jitter=strength).epoch(0)) for strength in (0.0, 0.4)
    )
    plainly = next(Loader(split, 8, seed=0, augment="pad-crop").epoch(0))
    assert same([still], [plainly])
    assert torch.equal(still.index, jittered.index)
    assert not torch.equal(still.images, jittered.images)


def test_jittered_epochs_repeat_and_differ() -> None:
    split = noise(8, 16)
    epochs = [
        list(Loader(split, 4, seed=seed, augment="none", colour_jitter=0.4).epoch(number))
        for seed, number in ((0, 0), (0, 1), (1, 0), (0, 1))
    ]
    assert same(epochs[1], epochs[3])
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not same(epochs[first], epochs[second])


def test_batches_of_an_epoch_are_jittered_apart() -> None:
    grey = Split(torch.full((8, 8, 8, 3), 100, dtype=torch.uint8), torch.arange(8))
    first, second = Loader(grey, 4, seed=0, augment="none", colour_jitter=0.4).epoch(0)
    assert not torch.equal(first.images, second.images)
