"""Noise targets: directions computed from their number, and who takes whose."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from rotnet_lib.pretext.parts.noise_targets import matched, noise_targets


def unit(count: int, dimension: int) -> torch.Tensor:
    return normalize(torch.randn(count, dimension, generator=torch.Generator().manual_seed(0)), dim=1)


@pytest.mark.parametrize("dimension", [2, 5, 128])
def test_a_row_is_a_function_of_its_number(dimension: int) -> None:
    rows = torch.arange(1_281_000, 1_281_100)
    found = noise_targets(rows, dimension)
    assert (found.shape, found.dtype) == ((100, dimension), torch.float32)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(100))
    assert torch.equal(noise_targets(rows.flip(0), dimension).flip(0), found)
    assert len(found.unique(dim=0)) == 100


def test_rows_lie_evenly_on_the_sphere() -> None:
    """Their coordinates have mean 0, no correlation, and the fourth moment of directions, 3 / (D (D + 2))."""
    found = noise_targets(torch.arange(20_000), 8).double()
    assert found.mean(0).abs().max() < 4 * (1 / 8 / 20_000) ** 0.5
    torch.testing.assert_close(found.T @ found / 20_000, torch.eye(8, dtype=torch.float64) / 8, atol=0.005, rtol=0)
    assert found.pow(4).mean().item() == pytest.approx(3 / 80, rel=0.02)


@pytest.mark.parametrize(("dimension", "loss"), [(2, 0.03), (16, 0.76), (128, 1.53), (512, 1.76)])
def test_features_that_know_nothing_have_the_loss_of_a_match_of_noise(dimension: int, loss: float) -> None:
    """The level that training must beat, 256 images in a batch, computed with other random numbers."""
    features, targets = unit(256, dimension), noise_targets(torch.arange(256), dimension)
    assert (2 - 2 * (features * targets).sum(1)).mean().item() == pytest.approx(2, abs=0.2)
    similarity = features @ targets.T
    images, givers = matched(similarity, torch.arange(256))
    assert (2 - 2 * similarity[images, givers]).mean().item() == pytest.approx(loss, abs=0.02)


def test_features_that_are_targets_in_another_order_find_their_own() -> None:
    targets = noise_targets(torch.arange(40), 16)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    images, givers = matched(targets[order] @ targets.T, torch.arange(40))
    assert torch.equal(images, torch.arange(40))
    assert torch.equal(givers, order)


def test_an_image_that_occurs_twice_takes_part_once() -> None:
    index = torch.tensor([7, 3, 7, 5])
    images, givers = matched(torch.rand(4, 4, generator=torch.Generator().manual_seed(2)), index)
    assert images.tolist() == [3, 5, 7]
    assert sorted(givers.tolist()) == [3, 5, 7]


def test_similarities_that_are_no_numbers_are_matched_somehow() -> None:
    """A training that diverges is told by its loss."""
    images, givers = matched(torch.full((3, 3), np.nan), torch.arange(3))
    assert sorted(givers.tolist()) == images.tolist() == [0, 1, 2]
