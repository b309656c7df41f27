"""Masks of arbitrary shapes: how much they remove, how large their pieces are, that they differ."""

import pytest
import torch

from rotnet_lib.data.loader import Loader
from rotnet_lib.pretext.parts.masks import RegionMasks
from tests.pretext.made import batch_of, random_data


def drawn(masks: RegionMasks, side: int, count: int = 200) -> torch.Tensor:
    return masks.draw(batch_of(random_data(side, count), count))


@pytest.mark.parametrize(("side", "cell"), [(32, 2.3), (64, 4.7), (64, 16.0), (63, 63.0)])
@pytest.mark.parametrize("removed", [0.1, 0.25, 0.8])
def test_masks_remove_the_share_asked_for(side: int, cell: float, removed: float) -> None:
    masks = drawn(RegionMasks(side, cell, removed), side)
    assert masks.shape == (200, 1, side, side)
    assert masks.dtype == torch.bool
    shares = masks.float().mean((1, 2, 3))
    within = 0.02  # of 64 x 64 pixels, the threshold is that of 32 x 32
    assert shares.min() >= 0.8 * removed - within
    assert shares.max() <= 1.2 * removed + within
    assert shares.mean().item() == pytest.approx(removed, abs=0.03 * removed)
    assert shares.std().item() == pytest.approx(0.4 * removed / 12**0.5, rel=0.25)


def test_every_pixel_is_removed_as_often() -> None:
    """Otherwise a network could learn where to look: up to chance, and to what the border does to interpolation."""
    often = drawn(RegionMasks(32, 8.0, 0.25), 32, 4000).float().mean((0, 1))
    assert often.mean().item() == pytest.approx(0.25, abs=0.01)
    assert often.min() > 0.15
    assert often.max() < 0.35


def test_larger_cells_make_larger_pieces() -> None:
    """Measured by the length of the border for the same area."""

    def border(cell: float) -> float:
        masks = drawn(RegionMasks(64, cell, 0.25), 64).float()
        return sum(masks.diff(dim=axis).abs().sum().item() for axis in (2, 3)) / masks.sum().item()

    fine, middle, coarse = (border(cell) for cell in (2.0, 4.7, 16.0))
    assert fine > 1.5 * middle > 1.5**2 * coarse


def test_each_image_has_a_mask_of_its_own() -> None:
    masks = drawn(RegionMasks(32, 4.0, 0.25), 32, 50).flatten(1)
    assert len(masks.unique(dim=0)) == 50


def test_masks_do_not_depend_on_how_a_batch_is_shared() -> None:
    data, masks = random_data(32, 8), RegionMasks(32, 4.0, 0.25)

    def of(share: tuple[int, int]) -> torch.Tensor:
        return masks.draw(next(Loader(data.train, 8, seed=0, augment="none", share=share).epoch(0)))

    assert torch.equal(of((0, 1)), torch.cat([of((0, 2)), of((1, 2))]))


def test_masks_of_test_images_are_always_the_same() -> None:
    index = torch.arange(60)
    found = RegionMasks(32, 4.0, 0.25).of_test(index)
    torch.rand(3)
    assert torch.equal(found[7:9], RegionMasks(32, 4.0, 0.25).of_test(index[7:9]))
    shares = found.float().mean((1, 2, 3))
    assert 0.19 < shares.min() < 0.23 < 0.27 < shares.max() < 0.31
    assert len(found.flatten(1).unique(dim=0)) == 60
    assert RegionMasks(32, 4.0, 0.25).of_test(torch.tensor([100_000])).shape == (1, 1, 32, 32)  # of more images than masks
