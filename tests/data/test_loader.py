"""Batches: a function of (seed, epoch), every image once, every crop and flip one that is allowed."""

import colorsys
from collections import Counter

import numpy as np
import pytest
import torch

from rotnet_lib.data.dataset import Split
from rotnet_lib.data.loader import Batch, Loader, crop_and_flip, jitter_colours, ordered_batches


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
    loader = Loader(split, 4, seed=5, augment=True)
    straight = [list(loader.epoch(number)) for number in range(3)]
    other = Loader(split, 4, seed=5, augment=True)
    torch.manual_seed(99)
    assert same(list(other.epoch(2)), straight[2])  # as after an interruption
    assert same(list(other.epoch(0)), straight[0])
    draws = [torch.rand(3, generator=batches[-1].rng) for batches in (list(loader.epoch(1)), list(other.epoch(1)))]
    assert torch.equal(*draws)  # what a task draws from a batch, too


@pytest.mark.parametrize("augment", [True, False])
def test_epochs_and_seeds_differ(augment: bool) -> None:
    split = noise(20, 16)
    epochs = [list(Loader(split, 4, seed=seed, augment=augment).epoch(number)) for seed in (0, 1) for number in (0, 1)]
    for position, first in enumerate(epochs):
        for second in epochs[position + 1 :]:
            assert not same(first, second)
            assert [batch.labels.tolist() for batch in first] != [batch.labels.tolist() for batch in second]


def test_every_image_comes_once_with_its_label() -> None:
    batches = list(Loader(numbered(24), 6, seed=0, augment=False).epoch(0))
    assert [len(batch) for batch in batches] == [6, 6, 6, 6]
    assert sorted(numbers(batches)) == list(range(24))
    assert numbers(batches) != list(range(24))
    for batch in batches:
        assert batch.labels.tolist() == [3 * number for number in numbers([batch])]
        assert batch.index.tolist() == numbers([batch])
        assert batch.copies.eq(0).all()


def test_images_are_handed_out_as_bytes_channels_last() -> None:
    split = noise(4, 8)
    batch = next(Loader(split, 4, seed=0, augment=False).epoch(0))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (4, 3, 8, 8)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    for image, label in zip(batch.images, batch.labels.tolist(), strict=True):
        np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), split.images[label].numpy())


def test_what_is_left_over_is_dropped_but_others_each_time() -> None:
    loader = Loader(numbered(11), 4, seed=0, augment=False)
    epochs = [list(loader.epoch(number)) for number in range(12)]
    assert len(loader) == 2
    assert all([len(batch) for batch in batches] == [4, 4] for batches in epochs)
    assert all(len(set(numbers(batches))) == 8 for batches in epochs)
    assert {number for batches in epochs for number in numbers(batches)} == set(range(11))


def test_copies_are_entries_of_their_own() -> None:
    loader = Loader(numbered(6), 8, seed=0, augment=False, copies=4)
    batches = list(loader.epoch(0))
    entries = [(n, int(c)) for batch in batches for n, c in zip(numbers([batch]), batch.copies, strict=True)]
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert Counter(entries) == {(number, copy): 1 for number in range(6) for copy in range(4)}
    assert entries != sorted(entries)
    assert all(label == 3 * n for batch in batches for n, label in zip(numbers([batch]), batch.labels.tolist(), strict=True))
    assert all(batch.index.tolist() == numbers([batch]) for batch in batches)


def test_copies_of_an_image_are_augmented_apart() -> None:
    batches = Loader(noise(1, 16), 8, seed=0, augment=True, copies=8).epoch(0)
    assert len({image.numpy().tobytes() for batch in batches for image in batch.images}) > 4


def test_an_epoch_can_draw_more_images_than_there_are() -> None:
    loader = Loader(numbered(10), 5, seed=0, augment=False, epoch_images=25)
    order = numbers(list(loader.epoch(0)))
    assert len(order) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert len(set(order[20:])) == 5
    assert [int(place) for batch in loader.epoch(0) for place in batch.index] == order


def test_an_epoch_can_draw_fewer_images_than_there_are() -> None:
    loader = Loader(numbered(10), 2, seed=0, augment=False, epoch_images=4)
    shown = [numbers(list(loader.epoch(number))) for number in range(10)]
    assert all(len(set(order)) == 4 for order in shown)
    assert set().union(*shown) == set(range(10))


@pytest.mark.parametrize(("epoch_images", "sizes"), [(None, [3]), (7, [7]), (20, [8, 8])])
def test_a_batch_may_be_larger_than_the_split(epoch_images: int | None, sizes: list[int]) -> None:
    loader = Loader(numbered(3), 8, seed=0, augment=False, epoch_images=epoch_images)
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


# --- Augmentation ---


def draw_of(original: np.ndarray, result: np.ndarray, padding: int) -> tuple[int, int, bool]:
    """The (down, right, flipped) crop of the padded image (C, H, W) that `result` is, found by trying each."""
    _, height, width = original.shape
    padded = np.pad(original, ((0, 0), (padding, padding), (padding, padding)))
    found = [
        (down, right, flipped)
        for down in range(2 * padding + 1)
        for right in range(2 * padding + 1)
        for flipped in (False, True)
        if np.array_equal(padded[:, down : down + height, right : right + width][..., :: -1 if flipped else 1], result)
    ]
    assert len(found) == 1, "no crop of the image"
    return found[0]


@pytest.mark.parametrize(("height", "width", "padding"), [(8, 8, 1), (6, 9, 2), (5, 4, 0)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_result_is_a_crop_of_its_image_drawn_on_its_own(
    height: int, width: int, padding: int, dtype: torch.dtype
) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (400, 2, height, width))).to(dtype)
    result = crop_and_flip(images, padding, torch.Generator().manual_seed(0))
    assert result.dtype == dtype
    assert result.shape == images.shape
    assert result.is_contiguous(memory_format=torch.channels_last)
    draws = [draw_of(*pair, padding) for pair in zip(images.numpy(), result.numpy(), strict=True)]
    # Down, right and flip each take every value about equally often: within 5 standard deviations.
    for values, choices in zip(zip(*draws, strict=True), (2 * padding + 1, 2 * padding + 1, 2), strict=True):
        counts = np.bincount(values, minlength=choices)
        spread = np.sqrt(400 * (1 / choices) * (1 - 1 / choices))
        assert len(counts) == choices
        assert np.abs(counts - 400 / choices).max() <= 5 * spread
    # And apart from each other: all combinations occur.
    assert len(set(draws)) == (2 * padding + 1) ** 2 * 2


def test_the_padding_is_black() -> None:
    white = torch.full((200, 3, 8, 8), 255, dtype=torch.uint8)
    result = crop_and_flip(white, 2, torch.Generator().manual_seed(0))
    assert set(result.unique().tolist()) == {0, 255}
    assert result[:, :, 2:-2, 2:-2].eq(255).all()


@pytest.mark.parametrize(("side", "padding"), [(32, 4), (28, 3), (16, 2)])
def test_the_padding_is_an_eighth_of_the_side(side: int, padding: int) -> None:
    split = noise(100, side)
    originals = split.images.numpy().transpose(0, 3, 1, 2)
    draws = [
        draw_of(originals[label], image, padding)
        for batch in Loader(split, 50, seed=0, augment=True).epoch(0)
        for image, label in zip(batch.images.numpy(), batch.labels.tolist(), strict=True)
    ]
    for axis in (0, 1):
        assert {0, 2 * padding} <= {draw[axis] for draw in draws}


def test_a_split_is_left_as_it_was() -> None:
    split = noise(8, 8)
    before = split.images.clone()
    for batch in Loader(split, 4, seed=0, augment=False).epoch(0):
        batch.images.add_(1)
    assert torch.equal(split.images, before)


# --- Colours ---


def plain(colour: tuple[int, int, int], count: int) -> torch.Tensor:
    """(count, 3, 6, 6) of one colour."""
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(count, 3, 6, 6).contiguous()


def photographs(count: int = 6) -> torch.Tensor:
    return noise(count, 8).images.permute(0, 3, 1, 2)


def test_jittered_images_are_bytes_channels_last() -> None:
    result = jitter_colours(photographs(), 0.4, seed=0)
    assert result.dtype == torch.uint8
    assert result.shape == (6, 3, 8, 8)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_jitter_is_a_function_of_its_seed() -> None:
    images = photographs()
    first = jitter_colours(images, 0.4, seed=1)
    torch.manual_seed(99)
    assert torch.equal(jitter_colours(images, 0.4, seed=1), first)
    assert not torch.equal(jitter_colours(images, 0.4, seed=2), first)


def test_jitter_leaves_the_process_s_own_stream_and_the_images_alone() -> None:
    images = photographs()
    before = images.clone()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    jitter_colours(images, 0.4, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(images, before)


def test_jitter_is_drawn_for_each_image() -> None:
    result = jitter_colours(plain((180, 90, 60), 50), 0.4, seed=0)
    assert len({image.numpy().tobytes() for image in result}) > 40


@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_brightness_changes_by_up_to_the_strength(strength: float) -> None:
    """On even grey images it is all that changes."""
    result = jitter_colours(plain((100, 100, 100), 400), strength, seed=0).numpy()
    assert (result == result[:, :1, :1, :1]).all()
    factors = result[:, 0, 0, 0] / 100
    assert 1 - strength - 0.006 <= factors.min() < 1 - 0.9 * strength
    assert 1 + strength + 0.006 >= factors.max() > 1 + 0.9 * strength


@pytest.mark.parametrize("strength", [0.2, 0.5])
def test_hue_changes_by_up_to_a_quarter_of_the_strength(strength: float) -> None:
    """In turns of the colour circle; the images are pale enough that nothing is cut off."""
    result = jitter_colours(plain((120, 90, 90), 400), strength, seed=0).numpy()
    hues = np.array([colorsys.rgb_to_hsv(*map(float, image[:, 0, 0]))[0] for image in result])
    turns = (hues + 0.5) % 1 - 0.5  # red is 0
    assert -strength / 4 - 0.01 <= turns.min() < -0.8 * strength / 4
    assert strength / 4 + 0.01 >= turns.max() > 0.8 * strength / 4


def test_contrast_changes_about_the_mean() -> None:
    """Half black-grey, half white-grey: their distance changes more than brightness alone can explain."""
    images = plain((80, 80, 80), 400)
    images[..., 3:] = 120
    result = jitter_colours(images, 0.4, seed=0).float()
    ratio = result[:, 0, 0, 5] / result[:, 0, 0, 0]
    assert ratio.min() < 1.35  # 1.5 before; 0.6 of the contrast makes it 1.27
    assert ratio.max() > 1.65  # 1.4 of it 1.78


def test_without_jitter_colours_stay_and_the_order_is_the_same() -> None:
    split = noise(8, 16)
    still, jittered = (next(Loader(split, 8, seed=0, augment=True, colour_jitter=strength).epoch(0)) for strength in (0.0, 0.4))
    plainly = next(Loader(split, 8, seed=0, augment=True).epoch(0))
    assert same([still], [plainly])
    assert torch.equal(still.index, jittered.index)
    assert not torch.equal(still.images, jittered.images)


def test_jittered_epochs_repeat_and_differ() -> None:
    split = noise(8, 16)
    epochs = [
        list(Loader(split, 4, seed=seed, augment=False, colour_jitter=0.4).epoch(number))
        for seed, number in ((0, 0), (0, 1), (1, 0), (0, 1))
    ]
    assert same(epochs[1], epochs[3])
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not same(epochs[first], epochs[second])


def test_batches_of_an_epoch_are_jittered_apart() -> None:
    grey = Split(torch.full((8, 8, 8, 3), 100, dtype=torch.uint8), torch.arange(8))
    first, second = Loader(grey, 4, seed=0, augment=False, colour_jitter=0.4).epoch(0)
    assert not torch.equal(first.images, second.images)
