"""Crops and flips: drawn as they should be, and cut where they were drawn."""

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from rotnet_lib.data.augment import AREA, RATIO, Augment, Draws, boxes, centre, crop_and_flip, cut, draw, draw_shifts
from tests.data.crops import draw_of

# --- pad-crop ---


@pytest.mark.parametrize(("height", "width", "padding"), [(8, 8, 1), (6, 9, 2), (5, 4, 0)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_result_is_a_crop_of_its_image_drawn_on_its_own(
    height: int, width: int, padding: int, dtype: torch.dtype
) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (400, 2, height, width))).to(dtype)
    result = crop_and_flip(images, padding, *draw_shifts(len(images), padding, torch.Generator().manual_seed(0)))
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
    result = crop_and_flip(white, 2, *draw_shifts(len(white), 2, torch.Generator().manual_seed(0)))
    assert set(result.unique().tolist()) == {0, 255}
    assert result[:, :, 2:-2, 2:-2].eq(255).all()


# --- Boxes ---


def drawn(kind: Augment, count: int, seed: int = 0) -> Draws:
    draws = draw(kind, count, np.random.default_rng(seed))
    assert draws is not None
    return draws


def boxes_of(kind: Augment, height: int, width: int, size: int, count: int = 4000) -> np.ndarray:
    return boxes(drawn(kind, count), np.full(count, height), np.full(count, width), size)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (100, 300), (300, 90), (60, 65)])
def test_boxes_are_distributed_as_torchvisions(height: int, width: int) -> None:
    found = boxes_of("resized-crop", height, width, 224)
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    expected = np.array([RandomResizedCrop.get_params(image, AREA, RATIO) for _ in range(4000)])
    for of_box in (
        lambda box: box[:, 2] * box[:, 3],  # area
        lambda box: np.log(box[:, 3] / box[:, 2]),  # shape
        lambda box: box[:, 0],
        lambda box: box[:, 1],
        lambda box: box[:, 1] + box[:, 3],
    ):
        ours, theirs = of_box(found), of_box(expected)
        spread = max(theirs.std(), 1e-6)
        assert abs(ours.mean() - theirs.mean()) < 0.11 * spread  # 5 standard errors of the difference
        assert abs(ours.std() - theirs.std()) < 0.08 * spread


@pytest.mark.parametrize(("height", "width"), [(64, 64), (300, 20), (20, 300), (1, 1), (3, 2)])
def test_boxes_lie_inside(height: int, width: int) -> None:
    for kind, size in (("resized-crop", 224), ("random-crop", min(height, width))):
        top, left, tall, wide = boxes_of(kind, height, width, size).T  # type: ignore[arg-type]
        assert min(top.min(), left.min()) >= 0
        assert min(tall.min(), wide.min()) >= 1
        assert (top + tall).max() <= height
        assert (left + wide).max() <= width


def test_an_image_too_long_for_any_box_shows_its_middle() -> None:
    """A strip of 1 : 100 holds no box of 3 : 4 to 4 : 3 with 8 % of its area."""
    assert (boxes_of("resized-crop", 10, 1000, 8, 50) == [0, 493, 10, 13]).all()
    assert (boxes_of("resized-crop", 1000, 10, 8, 50) == [493, 0, 13, 10]).all()


def test_random_crops_take_every_place_equally_often() -> None:
    found = boxes_of("random-crop", 10, 12, 8)
    for axis, places in ((0, 3), (1, 5)):
        counts = np.bincount(found[:, axis], minlength=places)
        assert len(counts) == places
        assert np.abs(counts - 4000 / places).max() < 5 * np.sqrt(4000 / places)
    assert (found[:, 2:] == 8).all()


def test_half_of_the_images_are_flipped() -> None:
    assert abs(drawn("random-crop", 4000).flip.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)


def test_a_part_of_the_draws_gives_the_same_boxes() -> None:
    draws = drawn("resized-crop", 20)
    sides = np.full(20, 50)
    whole = boxes(draws, sides, sides, 32)
    assert (boxes(draws.part(slice(5, 9)), sides[5:9], sides[5:9], 32) == whole[5:9]).all()
    assert (boxes(draws.part([7]), sides[:1], sides[:1], 32) == whole[7]).all()
    assert draws.part([7]).flip.tolist() == [draws.flip[7]]


# --- Cuts ---


def noise(count: int, side: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def test_random_crops_are_exact() -> None:
    images, index, draws = noise(6, 20), torch.tensor([3, 3, 0, 5, 1]), drawn("random-crop", 5)
    result = cut(images, index, draws, 14)
    assert result.dtype == torch.uint8
    sides = np.full(5, 20)
    for crop, place, box, flip in zip(result, index, boxes(draws, sides, sides, 14), draws.flip, strict=True):
        top, left = box[:2]
        expected = images[place, top : top + 14, left : left + 14].numpy()
        np.testing.assert_array_equal(crop.numpy(), expected[:, ::-1] if flip else expected)
    assert set(draws.flip.tolist()) == {True, False}


@pytest.mark.parametrize(("side", "size"), [(24, 24), (40, 16), (16, 40)])
def test_resized_crops_are_torchvisions(side: int, size: int) -> None:
    """Interpolated where they grow, averaged where they shrink."""
    images, index, draws = noise(30, side), torch.arange(30), drawn("resized-crop", 30)
    result = cut(images, index, draws, size)
    assert result.shape == (30, size, size, 3)
    sides = np.full(30, side)
    for crop, image, box, flip in zip(result, images, boxes(draws, sides, sides, size), draws.flip, strict=True):
        expected = resized_crop(image.permute(2, 0, 1).float(), *box.tolist(), [size, size], antialias=True)
        expected = expected.flip(2) if flip else expected
        assert (crop.permute(2, 0, 1) - expected).abs().max() < 0.51  # rounded to bytes


def test_the_middle_is_the_middle() -> None:
    image = torch.arange(25).view(1, 5, 5, 1)
    assert centre(image, 3).flatten().tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    assert centre(image, 5).shape == (1, 5, 5, 1)
