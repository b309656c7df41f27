"""Exemplar CNN's transformations: what leaves a patch as it is, what each does, how far each goes."""

import colorsys
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from rotnet_lib.pretext.parts import exemplar_transformations as ranges
from rotnet_lib.pretext.parts.exemplar_transformations import NUMBERS, Transformations, transformed

IMAGES = torch.randint(0, 256, (5, 3, 20, 20), generator=torch.Generator().manual_seed(0)).double()
CORNERS = torch.tensor([[0, 0], [10, 10], [3, 7], [5, 5], [8, 0]])
SIDE = 10
STILL = Transformations.none(IMAGES)


def patches_of(images: torch.Tensor = IMAGES, corners: torch.Tensor = CORNERS) -> torch.Tensor:
    pairs = zip(images, corners.tolist(), strict=True)
    return torch.stack([image[:, row : row + SIDE, column : column + SIDE] for image, (row, column) in pairs])


def by(**changed: Any) -> torch.Tensor:
    full = {
        name: torch.as_tensor(value, dtype=torch.float64).expand_as(getattr(STILL, name)) for name, value in changed.items()
    }
    return transformed(IMAGES, CORNERS, SIDE, replace(STILL, **full))


def numbers(value: float, count: int = 1) -> torch.Tensor:
    return torch.full((count, NUMBERS), value, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_none_gives_the_patch_back(dtype: torch.dtype) -> None:
    images = IMAGES.to(dtype)
    found = transformed(images, CORNERS, SIDE, Transformations.none(images))
    assert found.dtype == dtype
    torch.testing.assert_close(found / 255, patches_of(images) / 255, atol=1e-5, rtol=0)


def test_the_whole_image_is_a_patch() -> None:
    found = transformed(IMAGES, torch.zeros(5, 2, dtype=torch.int64), 20, STILL)
    torch.testing.assert_close(found, IMAGES, atol=1e-6, rtol=0)


def test_a_shift_moves_the_content_and_shows_more_of_the_image() -> None:
    found = by(shift=[0.2, -0.1])  # two pixels down, one to the left
    corners = CORNERS[2:4] - torch.tensor([2, -1])  # those whose patch stays within the image
    torch.testing.assert_close(found[2:4], patches_of(IMAGES[2:4], corners), atol=1e-6, rtol=0)


def test_beyond_the_edge_the_image_is_mirrored() -> None:
    found = by(shift=[0.2, 0.0])[0]
    expected = torch.cat([IMAGES[0, :, 1:3, :SIDE].flip(1), IMAGES[0, :, : SIDE - 2, :SIDE]], 1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_turns_are_counter_clockwise_about_the_middle() -> None:
    torch.testing.assert_close(by(turn=90.0), patches_of().rot90(1, (2, 3)), atol=1e-6, rtol=0)


def test_magnification_is_about_the_middle() -> None:
    smooth = torch.arange(20.0, dtype=torch.float64)[:, None] + torch.zeros(5, 3, 20, 20)
    found = transformed(smooth, torch.full((5, 2), 5), SIDE, replace(STILL, scale=torch.full((5,), 2.0).double()))
    rows = 9.5 + (torch.arange(10) - 4.5).double() / 2
    torch.testing.assert_close(found[0, 0, :, 0], rows, atol=1e-4, rtol=0)


@pytest.mark.parametrize("turns", [1.0, -1.0, 3.0])
def test_hue_by_a_whole_turn_is_the_same(turns: float) -> None:
    torch.testing.assert_close(by(hue=turns), patches_of(), atol=1e-3, rtol=0)


def test_hue_saturation_and_value_are_those_of_colorsys() -> None:
    power, factor, offset, hue = (0.5, 2.0), (1.3, 0.8), (-0.05, 0.1), 0.07
    found = by(power=power, factor=factor, offset=offset, hue=hue)
    for new, old in zip(found[0].flatten(1).T.tolist(), patches_of()[0].flatten(1).T.tolist(), strict=True):
        tone, *others = colorsys.rgb_to_hsv(*(channel / 255 for channel in old))
        changed = [min(max(f * x**p + o, 0), 1) for x, p, f, o in zip(others, power, factor, offset, strict=True)]
        expected = [255 * channel for channel in colorsys.hsv_to_rgb((tone + hue) % 1, *changed)]
        assert new == pytest.approx(expected, abs=1e-3)


def test_numbers_span_the_papers_ranges() -> None:
    least, most = Transformations.of(numbers(0.0)), Transformations.of(numbers(1.0))
    expected = {
        "shift": (-0.2, 0.2),
        "scale": (0.7, 1.4),
        "turn": (-20, 20),
        "along": (0.5, 2),
        "power": (0.25, 4),
        "factor": (0.7, 1.4),
        "offset": (-0.1, 0.1),
        "hue": (-0.1, 0.1),
    }
    assert {field.name for field in fields(Transformations)} == expected.keys()
    for name, ends in expected.items():
        for found, end in zip((least, most), ends, strict=True):
            torch.testing.assert_close(getattr(found, name), torch.full_like(getattr(found, name), end), msg=name)


def test_each_number_moves_one_thing() -> None:
    still = Transformations.of(numbers(0.5))
    for place in range(NUMBERS):
        drawn = numbers(0.5)
        drawn[0, place] = 0.9
        moved = Transformations.of(drawn)
        changed = [(getattr(moved, field.name) != getattr(still, field.name)).sum() for field in fields(Transformations)]
        assert sum(changed) == 1, place


def test_factors_below_and_above_one_are_as_frequent() -> None:
    drawn = Transformations.of(torch.rand(20_000, NUMBERS, generator=torch.Generator().manual_seed(0)))
    for values in (drawn.along, drawn.power):
        assert float((values < 1).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert ranges.POWER == (0.25, 4.0)


def test_patches_stay_in_the_range_of_pixels() -> None:
    drawn = torch.rand(400, NUMBERS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = transformed(IMAGES.repeat(80, 1, 1, 1), CORNERS.repeat(80, 1), SIDE, Transformations.of(drawn))
    assert 0 <= float(found.min()) <= float(found.max()) <= 255
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0)])
def test_an_image_of_one_colour_is_one_of_one_colour(colour: tuple[int, int, int]) -> None:
    images = torch.tensor(colour, dtype=torch.float64)[None, :, None, None].expand(3, 3, 20, 20)
    drawn = torch.rand(3, NUMBERS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = transformed(images, CORNERS[:3], SIDE, Transformations.of(drawn))
    torch.testing.assert_close(found, found[:, :, :1, :1].expand_as(found), atol=1e-6, rtol=0)
