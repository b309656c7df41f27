"""Hue and chroma: against colorsys, and the way back."""

import colorsys

import pytest
import torch

from rotnet_lib.pretext.parts.hue import NAMES, binned, hsv_of, hue_and_chroma, hue_names, pixels_of, pixels_of_hsv

PIXELS = torch.randint(0, 256, (300, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_hue_is_that_of_hsv_and_chroma_the_range_of_the_channels() -> None:
    hue, chroma = hue_and_chroma(PIXELS)
    expected = [colorsys.rgb_to_hsv(*(value / 255 for value in pixel)) for pixel in PIXELS.tolist()]
    torch.testing.assert_close(hue, torch.tensor([turns for turns, _, _ in expected]), atol=1e-5, rtol=0)
    torch.testing.assert_close(chroma, torch.tensor([s * v for _, s, v in expected]), atol=1e-5, rtol=0)


def test_primaries_are_thirds_of_a_turn_apart() -> None:
    hue, chroma = hue_and_chroma(torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [70, 70, 70]]))
    torch.testing.assert_close(hue, torch.tensor([0, 1 / 3, 2 / 3, 0]))
    assert chroma.tolist() == [1, 1, 1, 0]


def test_the_way_back() -> None:
    torch.testing.assert_close(pixels_of(*hue_and_chroma(PIXELS), PIXELS.float().mean(1)), PIXELS.float(), atol=1e-2, rtol=0)


def test_hue_saturation_and_value_are_those_of_hsv() -> None:
    found = torch.stack(hsv_of(PIXELS), 1)
    expected = [colorsys.rgb_to_hsv(*(value / 255 for value in pixel)) for pixel in PIXELS.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)


def test_the_way_back_from_hsv_is_that_of_images_too() -> None:
    images = PIXELS.T.reshape(1, 3, 20, 15)
    hue, saturation, value = hsv_of(images)
    assert hue.shape == (1, 20, 15)
    for turns in (0, 1, -2):
        torch.testing.assert_close(pixels_of_hsv(hue + turns, saturation, value), images.float(), atol=1e-2, rtol=0)
    assert hsv_of(torch.zeros(1, 3))[1].tolist() == [0]


def test_bins_are_of_one_width_and_the_ends_are_in_them() -> None:
    assert binned(torch.tensor([0.0, 0.031, 0.032, 0.5, 1.0]), 32).tolist() == [0, 0, 1, 15, 31]


@pytest.mark.parametrize(("turns", "name"), [(0.0, "red"), (0.99, "red"), (1 / 3, "green"), (2 / 3, "blue"), (0.5, "cyan")])
def test_bins_are_named_by_the_nearest_colour(turns: float, name: str) -> None:
    names = hue_names(32)
    assert NAMES[names[binned(torch.tensor([turns]), 32)[0]]] == name
    assert set(names.tolist()) == set(range(1, len(NAMES)))
