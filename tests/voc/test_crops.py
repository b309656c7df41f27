"""Random squares: inside the image, of the scales asked for, mirrored half the time, functions of their generator."""

import numpy as np
import pytest
import torch
from PIL import Image

from rotnet_lib.voc.crops import random_square


def ramp(width: int, height: int) -> Image.Image:
    """An image whose red tells the column and whose green the row, as shares of 255."""
    across = np.linspace(0, 255, width)[None].repeat(height, 0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, np.full_like(across, 200)], 2).round().astype(np.uint8))


def windows(width: int, height: int, side: int, count: int = 300, **limits: float) -> tuple[np.ndarray, np.ndarray]:
    """Where many squares lie: (count, 4) left, top, right, bottom in pixels, and (count,) which are mirrored."""
    image, found, mirrored = ramp(width, height), [], []
    for number in range(count):
        square = random_square(image, side, np.random.default_rng(number), **limits)
        assert square.shape == (3, side, side)
        assert square.dtype == torch.uint8
        assert square.is_contiguous()
        assert square[2].unique().tolist() == [200]  # nothing is padded
        red, green = square[0].float().mean(0), square[1].float().mean(1)
        mirrored.append(bool(red[0] > red[-1]))
        red = red.flip(0) if mirrored[-1] else red
        # The ends are half an output pixel inside the window: extend the line through them.
        step_x, step_y = (red[-1] - red[0]) / (side - 1), (green[-1] - green[0]) / (side - 1)
        found.append(
            [
                float(red[0] - step_x / 2) / 255 * (width - 1) + 0.5,
                float(green[0] - step_y / 2) / 255 * (height - 1) + 0.5,
                float(red[-1] + step_x / 2) / 255 * (width - 1) + 0.5,
                float(green[-1] + step_y / 2) / 255 * (height - 1) + 0.5,
            ]
        )
    return np.array(found), np.array(mirrored)


def test_windows_lie_in_the_image_at_every_scale_and_place() -> None:
    boxes, mirrored = windows(250, 190, 64)
    assert boxes.min() > -2
    assert boxes[:, 2].max() < 252
    assert boxes[:, 3].max() < 192
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, boxes[:, 3] - boxes[:, 1], atol=4)  # square: no change of shape
    assert 29 < sides.min() < 36  # half of 64 ...
    assert 122 < sides.max() < 132  # ... to twice of it, evenly
    assert np.median(sides) == pytest.approx(80, abs=8)
    across = (boxes[:, 0] / (250 - sides)).clip(0, 1)
    assert np.histogram(across, bins=4, range=(0, 1))[0].min() > 50
    assert 0.4 < mirrored.mean() < 0.6


def test_the_shorter_side_limits_the_scale() -> None:
    boxes, _ = windows(120, 80, 64)
    sides = boxes[:, 3] - boxes[:, 1]
    assert 76 < sides.max() < 84
    assert sides.min() < 38


def test_an_image_smaller_than_half_the_square_is_shown_whole_as_far_as_it_goes() -> None:
    boxes, _ = windows(30, 20, 64)
    np.testing.assert_allclose(boxes[:, 3] - boxes[:, 1], 20, atol=1.5)
    assert boxes[:, 0].max() > 9
    assert boxes[:, 0].min() < 1


def test_scales_of_ones_own() -> None:
    boxes, _ = windows(250, 190, 64, min_scale=1.0, max_scale=1.0)
    np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], 64, atol=4)


def test_a_square_is_a_function_of_its_generator() -> None:
    image = ramp(90, 70)
    first, again, other = (random_square(image, 32, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (64, 64), (1, 1), (3, 1000)])
def test_any_shape_gives_a_square(shape: tuple[int, int]) -> None:
    for seed in range(30):
        assert random_square(ramp(*shape), 37, np.random.default_rng(seed)).shape == (3, 37, 37)
