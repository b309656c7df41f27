"""Tiles cut out of images."""

from typing import Any

import numpy as np
import pytest
import torch

from rotnet_lib.pretext.parts.tiles import cut_tiles, normalized


@pytest.fixture
def images() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)).permute(0, 3, 1, 2)


def test_a_tile_is_what_stands_at_its_corner(images: torch.Tensor) -> None:
    rng = np.random.default_rng(1)
    tops, lefts = (torch.from_numpy(rng.integers(0, 14, (3, 4))) for _ in range(2))
    tiles = cut_tiles(images, tops, lefts, 7)
    assert tiles.shape == (12, 3, 7, 7)
    assert tiles.dtype == torch.uint8
    for image in range(3):
        for number in range(4):
            top, left = int(tops[image, number]), int(lefts[image, number])
            assert torch.equal(tiles[4 * image + number], images[image, :, top : top + 7, left : left + 7])


def test_colour_planes_may_have_corners_of_their_own(images: torch.Tensor) -> None:
    rng = np.random.default_rng(1)
    tops, lefts = (torch.from_numpy(rng.integers(0, 14, (3, 4, 3))) for _ in range(2))
    tiles = cut_tiles(images, tops, lefts, 7)
    for image in range(3):
        for number in range(4):
            for plane in range(3):
                top, left = int(tops[image, number, plane]), int(lefts[image, number, plane])
                assert torch.equal(tiles[4 * image + number, plane], images[image, plane, top : top + 7, left : left + 7])


def test_each_channel_of_a_tile_is_normalised_by_itself(images: torch.Tensor) -> None:
    tiles = images[:, :, :8, :8]
    found = normalized(tiles, "mean-std")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.mean((2, 3)), torch.zeros(3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((2, 3), correction=0), torch.ones(3, 3))
    torch.testing.assert_close(normalized(tiles, "mean"), tiles.float() - tiles.float().mean((2, 3), keepdim=True))


@pytest.mark.parametrize("how", ["mean-std", "mean"])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_flat_tile_is_zero_and_no_other_number(how: Any, value: int) -> None:
    assert torch.equal(normalized(torch.full((2, 3, 5, 5), value, dtype=torch.uint8), how), torch.zeros(2, 3, 5, 5))
