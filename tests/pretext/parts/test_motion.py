"""Images moved and turned."""

import pytest
import torch

from rotnet_lib.pretext.parts.motion import largest_side, moved
from rotnet_lib.pretext.parts.rotate import inscribed_side, rotate


def noise(side: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("angle", [0, 10, 45, 90, -30])
def test_a_turn_alone_is_a_rotation(angle: float) -> None:
    images = noise(32)
    expected = rotate(images, angle % 360)
    found = moved(images, torch.zeros(3, 2), torch.full((3,), float(angle)), expected.shape[-1])
    assert (found.int() - expected.int()).abs().max() <= 1


def test_each_image_has_a_motion_of_its_own() -> None:
    images = noise(24)
    shift, turn = torch.tensor([[0, 0], [1, 2], [-3, 0]]), torch.tensor([0, 12, -90])
    together = moved(images, shift, turn, 12)
    for number in range(3):
        part = slice(number, number + 1)
        assert torch.equal(together[part], moved(images[part], shift[part], turn[part], 12))


@pytest.mark.parametrize("turn", [10.0, 30.0, 45.0])
@pytest.mark.parametrize("side", [31, 32, 224])
def test_without_a_shift_the_square_is_that_of_a_rotation(side: int, turn: float) -> None:
    assert largest_side(side, 0, turn) == inscribed_side(side, [turn])
    assert largest_side(side, 0, 90) == largest_side(side, 0, 45)
