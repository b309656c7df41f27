"""Rotation: right angles against plain array flips, other angles against pictures whose turned form is known."""

import math

import numpy as np
import pytest
import torch

from rotnet_lib.pretext.parts.rotate import inscribed_side, rotate, rotate_all, rotate_each

RIGHT_ANGLES = (0, 90, 180, 270)
MODES = ("all", "shuffled", "one", "one-large-batch")
EIGHT = (0, 45, 90, 135, 180, 225, 270, 315)


def random_images(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def turned(image: np.ndarray, quarters: int) -> np.ndarray:
    """(..., H, W) counter-clockwise by quarter turns, with transposes and flips alone."""
    for _ in range(quarters % 4):
        image = np.swapaxes(image, -1, -2)[..., ::-1, :]
    return image


# --- One angle ---


@pytest.mark.parametrize(
    ("angle", "expected"),
    [
        (0, [[1, 2, 3], [4, 5, 6]]),
        (90, [[3, 6], [2, 5], [1, 4]]),
        (180, [[6, 5, 4], [3, 2, 1]]),
        (270, [[4, 1], [5, 2], [6, 3]]),
    ],
)
def test_right_angles_turn_counter_clockwise(angle: float, expected: list[list[int]]) -> None:
    image = torch.tensor([[[[1, 2, 3], [4, 5, 6]]]], dtype=torch.uint8)
    result = rotate(image, angle)
    assert result.dtype == torch.uint8
    assert result[0, 0].tolist() == expected


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 360, 450, -90, -180, 90.0])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_right_angles_are_exact_on_images_that_are_not_square(angle: float, dtype: torch.dtype) -> None:
    images = random_images(2, 3, 5, 8).to(dtype)
    result = rotate(images, angle)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.numpy(), turned(images.numpy(), round(angle / 90)))


def ramp(side: int, direction: float) -> np.ndarray:
    """(side, side) grey values that rise by 4 a pixel towards `direction`, in degrees counter-clockwise from the right."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    turn = math.radians(direction)
    return (128 + 4 * (x * math.cos(turn) - y * math.sin(turn))).astype(np.float32)  # row numbers grow downwards


@pytest.mark.parametrize("angle", [45, 135, 225, 315, -45, 30, 10.5])
@pytest.mark.parametrize("side", [32, 31])
def test_a_ramp_turns_by_the_angle(angle: float, side: int) -> None:
    """Bilinear interpolation of a linear picture is exact, so every pixel is known."""
    result = rotate(torch.from_numpy(ramp(side, 20))[None, None], angle)[0, 0].numpy()
    np.testing.assert_allclose(result, ramp(len(result), 20 + angle), atol=1e-3)


@pytest.mark.parametrize("angle", [45, 135, 225, 315])
def test_a_spot_moves_counter_clockwise(angle: float) -> None:
    """A blob right of the centre ends where the circle through it says."""
    y, x = np.mgrid[:33, :33] - 16.0
    blob = 255 * np.exp(-((x - 8) ** 2 + y**2) / 8)
    result = rotate(torch.from_numpy(blob.astype(np.float32))[None, None], angle)[0, 0].numpy()
    y, x = np.mgrid[: len(result), : len(result)] - (len(result) - 1) / 2
    turn = math.radians(angle)
    expected = 255 * np.exp(-((x - 8 * math.cos(turn)) ** 2 + (y + 8 * math.sin(turn)) ** 2) / 8)
    # What linear interpolation cuts off a peak: an eighth of the second derivative (255 / 4) in each direction.
    np.testing.assert_allclose(result, expected, atol=2 * 255 / 4 / 8 + 0.1)


@pytest.mark.parametrize(("angle", "upright"), [(45, True), (-45, False), (135, False), (225, True)])
def test_a_diagonal_line_stands_upright_or_lies_down(angle: float, upright: bool) -> None:
    """From the bottom left to the top right; an eighth counter-clockwise sets it on its end."""
    y, x = np.mgrid[:33, :33]
    line = np.where(x + y == 32, 255, 0).astype(np.uint8)
    result = rotate(torch.from_numpy(line)[None, None], angle)[0, 0].numpy()
    result = result if upright else result.T
    middle = len(result) // 2
    assert (result[:, middle] >= 127).all()  # half way between two pixels of the diagonal it is half as bright
    assert (np.delete(result, (middle - 1, middle, middle + 1), axis=1) == 0).all()


def test_interpolated_bytes_are_rounded_not_cut() -> None:
    picture = torch.from_numpy(ramp(32, 0))[None, None]
    exact = rotate(picture.round(), 45).numpy()
    assert np.abs(rotate(picture.round().to(torch.uint8), 45).numpy() - exact).max() <= 0.501


@pytest.mark.parametrize("side", [16, 28, 31, 32, 96])
def test_no_empty_area_shows(side: int) -> None:
    white = torch.full((1, 3, side, side), 255, dtype=torch.uint8)
    for angle in range(0, 360, 5):
        assert (rotate(white, angle) == 255).all(), angle


def test_two_eighths_are_a_quarter_in_the_centre() -> None:
    y, x = np.mgrid[:32, :32] / 32
    smooth = torch.from_numpy(128 + 60 * np.sin(5 * x + 2 * y) + 60 * np.cos(4 * y - 3 * x))[None, None].float()
    twice = rotate(rotate(smooth, 45), 45)
    margin = (32 - twice.shape[-1]) // 2
    quarter = turned(smooth.numpy(), 1)[..., margin:-margin, margin:-margin]
    assert twice.shape[-1] >= 14
    assert np.abs(twice.numpy() - quarter).max() < 2
    assert np.abs(twice.numpy() - turned(quarter, 2)).max() > 50  # so the tolerance tells directions apart


# --- The view that all rotations fill ---


@pytest.mark.parametrize(
    ("side", "angles", "expected"), [(32, (45,), 22), (32, RIGHT_ANGLES, 32), (32, EIGHT, 22), (31, (), 31)]
)
def test_known_sides(side: int, angles: tuple[float, ...], expected: int) -> None:
    assert inscribed_side(side, angles) == expected


@pytest.mark.parametrize("side", [16, 28, 31, 32, 96, 224])
@pytest.mark.parametrize("angle", [1, 10.5, 30, 45, 60, 135, 200, 315, -20])
def test_the_view_is_the_largest_that_is_filled(side: int, angle: float) -> None:
    def filled(view: int) -> bool:
        """Whether the corners' pixel centres stay between the outermost pixel centres of the image when turned."""
        corners = (view - 1) / 2 * np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) * np.exp(1j * math.radians(angle))
        return bool(max(np.abs(corners.real).max(), np.abs(corners.imag).max()) <= (side - 1) / 2 + 1e-6)

    view = inscribed_side(side, [angle])
    assert (side - view) % 2 == 0  # the same on both sides
    assert filled(view)
    assert not filled(view + 2)


def test_the_narrowest_of_several_angles_decides() -> None:
    assert inscribed_side(64, [10, 45, 90]) == inscribed_side(64, [45]) < inscribed_side(64, [10])


# --- All copies of a batch ---


@pytest.mark.parametrize("angles", [RIGHT_ANGLES, (180, 0), (270, 90, 0)])
def test_copies_come_angle_by_angle(angles: tuple[int, ...]) -> None:
    images = random_images(3, 3, 8, 8)
    copies = rotate_all(images, angles)
    assert copies.dtype == torch.uint8
    expected = np.concatenate([turned(images.numpy(), angle // 90) for angle in angles])
    np.testing.assert_array_equal(copies.numpy(), expected)


@pytest.mark.parametrize("angles", [RIGHT_ANGLES, EIGHT])
def test_copies_lie_channels_last(angles: tuple[int, ...]) -> None:
    images = random_images(3, 3, 32, 32)
    labels = torch.tensor([1, 0, 1])
    assert rotate_all(images, angles).is_contiguous(memory_format=torch.channels_last)
    assert rotate_each(images, angles, labels).is_contiguous(memory_format=torch.channels_last)


def test_with_eighths_all_copies_show_the_same_crop() -> None:
    images = random_images(2, 3, 32, 32)
    copies = rotate_all(images, EIGHT).numpy().reshape(8, 2, 3, 22, 22)
    centre = images.numpy()[..., 5:27, 5:27]
    for position, angle in enumerate(EIGHT):
        if angle % 90 == 0:
            np.testing.assert_array_equal(copies[position], turned(centre, angle // 90))
        else:
            np.testing.assert_array_equal(copies[position], rotate(images, angle).numpy())


def test_a_crop_for_other_angles_is_the_centre_of_the_copies() -> None:
    images = random_images(5, 3, 32, 32)
    labels = torch.tensor([3, 1, 0, 2, 1])
    every = rotate_all(images, RIGHT_ANGLES, crop_for=[45])
    assert torch.equal(every, rotate_all(images, RIGHT_ANGLES)[..., 5:27, 5:27])
    each = rotate_each(images, RIGHT_ANGLES, labels, crop_for=[45])
    assert torch.equal(each, rotate_each(images, RIGHT_ANGLES, labels)[..., 5:27, 5:27])
    for copies in (every, each):
        assert copies.is_contiguous(memory_format=torch.channels_last)


def test_a_crop_for_right_angles_cuts_nothing() -> None:
    images = random_images(2, 3, 32, 32)
    assert torch.equal(rotate_all(images, RIGHT_ANGLES, crop_for=[0, 180]), rotate_all(images, RIGHT_ANGLES))


@pytest.mark.parametrize("angles", [RIGHT_ANGLES, EIGHT])
def test_copies_need_square_images(angles: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be square, not \(6, 8\)"):
        rotate_all(random_images(2, 3, 6, 8), angles)


@pytest.mark.parametrize("angles", [RIGHT_ANGLES, EIGHT, (90, 45)])
def test_rotate_each_turns_by_the_label(angles: tuple[int, ...]) -> None:
    images = random_images(9, 3, 16, 16)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, len(angles), 9))
    result = rotate_each(images, angles, labels)
    assert result.dtype == torch.uint8
    every = rotate_all(images, angles).unflatten(0, (len(angles), 9))
    for position, label in enumerate(labels.tolist()):
        assert torch.equal(result[position], every[label, position])
