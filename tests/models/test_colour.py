"""sRGB and Lab: against constants computed elsewhere, the formula in float64, and scikit-image."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from rotnet_lib.models.colour import lab_to_rgb, lightness, rgb_to_lab

IMAGES = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_known_colours(colour: tuple[int, ...], lab: tuple[float, ...]) -> None:
    image = torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1)
    np.testing.assert_allclose(rgb_to_lab(image).flatten(), lab, atol=0.01)


def in_float64(images: np.ndarray) -> np.ndarray:
    """(N, 3, H, W) in [0, 255] to Lab by the formula."""
    c = images.astype(np.float64) / 255
    linear = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    matrix = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    t = np.einsum("kc,nchw->nkhw", matrix, linear) / np.array([0.95047, 1, 1.08883])[:, None, None]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def test_every_pixel_is_converted_by_the_formula() -> None:
    found = rgb_to_lab(IMAGES)
    assert (found.dtype, found.shape) == (torch.float32, IMAGES.shape)
    np.testing.assert_allclose(found, in_float64(IMAGES.numpy()), atol=1e-3)
    np.testing.assert_allclose(found, rgb2lab(IMAGES.numpy(), channel_axis=1), atol=1e-3)
    torch.testing.assert_close(rgb_to_lab(IMAGES.float()), found, rtol=1e-5, atol=1e-4)  # whole values are looked up


def test_many_images_are_converted_as_each_alone() -> None:
    many = IMAGES.repeat(600, 1, 1, 1)
    many[-1] = 255 - many[-1]
    found = rgb_to_lab(many)
    assert found[:, 0].numel() > 65536
    assert torch.equal(found[-4:], rgb_to_lab(many[-4:]))
    assert torch.equal(found[:2], rgb_to_lab(IMAGES))


def test_lightness_is_the_first_channel() -> None:
    torch.testing.assert_close(lightness(IMAGES), rgb_to_lab(IMAGES)[:, :1], rtol=0, atol=1e-5)


def test_autocast_changes_nothing() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = rgb_to_lab(IMAGES)
    assert torch.equal(found, rgb_to_lab(IMAGES))


def test_the_way_back() -> None:
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(IMAGES)), IMAGES, atol=0.02)


def test_what_no_screen_can_show_is_clipped() -> None:
    found = lab_to_rgb(torch.tensor([[100.0, 90, 90], [0, -90, 90]]))
    assert found.min() >= 0
    assert found.max() <= 255
