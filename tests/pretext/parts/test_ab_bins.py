"""The 313 bins of colour: the authors' table, soft codes, weights."""

import math

import pytest
import torch

from rotnet_lib.models.colour import rgb_to_lab
from rotnet_lib.pretext.parts.ab_bins import (
    NAMES,
    bin_centres,
    candidates,
    class_weights,
    entropy,
    in_plane,
    name_of_bins,
    smoothed,
    soft_code,
    squared_distances,
)

CENTRES = bin_centres()


def coded(ab: torch.Tensor, neighbours: int) -> tuple[torch.Tensor, torch.Tensor]:
    return soft_code(ab, CENTRES, candidates(CENTRES, neighbours), neighbours)


def test_there_are_313_in_the_authors_order() -> None:
    assert CENTRES.shape == (313, 2)
    assert CENTRES[:2].tolist() == [[-90, 50], [-90, 60]]
    assert CENTRES[-1].tolist() == [100, 0]
    assert torch.unique(CENTRES, dim=0).shape == CENTRES.shape
    _, counts = CENTRES[:, 0].unique(return_counts=True)
    assert counts.tolist() == [5, 8, 10, 12, 14, 15, 16, 16, 17, 18, 18, 18, 19, 20, 19, 20, 20, 19, 19, 10]


@pytest.mark.parametrize(
    ("neighbours", "weights"),
    [
        (1, [1.0]),
        (5, [0.648786] + 4 * [0.087804]),
        (10, [0.619218] + 4 * [0.083802] + 4 * [0.011341] + [0.000208]),
    ],
)
def test_the_soft_code_of_grey(neighbours: int, weights: list[float]) -> None:
    bins, found = coded(torch.zeros(1, 2), neighbours)
    assert CENTRES[bins[0, 0]].tolist() == [0, 0]
    torch.testing.assert_close(found[0], torch.tensor(weights), atol=1e-6, rtol=0)


@pytest.mark.parametrize("neighbours", [1, 5, 10, 313])
def test_the_nearest_bins_of_every_colour_are_found(neighbours: int) -> None:
    rng = torch.Generator().manual_seed(0)
    extremes = torch.cartesian_prod(*[torch.tensor([0.0, 255.0])] * 3)
    pixels = torch.cat([extremes, torch.randint(0, 256, (500, 3), generator=rng).float()])
    ab = rgb_to_lab(pixels)[:, 1:]
    bins, _ = coded(ab, neighbours)
    found = (CENTRES[bins] - ab[:, None]).square().sum(2)
    expected = squared_distances(ab, CENTRES).sort(1).values[:, :neighbours]
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-5)


def test_weights_average_to_one_over_the_colours() -> None:
    counted = torch.rand(313, generator=torch.Generator().manual_seed(0)) ** 8
    p = smoothed(counted / counted.sum(), CENTRES)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    weights = class_weights(p, 0.5)
    assert (p * weights).sum() == pytest.approx(1, abs=1e-6)
    assert weights[p.argmin()] == weights.max() > 1
    torch.testing.assert_close(class_weights(torch.full((313,), 1 / 313), 0.5), torch.ones(313))
    torch.testing.assert_close(class_weights(p, 1.0), torch.ones(313))


def test_smoothing_spreads_a_frequency_over_the_bins_around_it() -> None:
    one = (CENTRES == 0).all(1).float()
    found = smoothed(one, CENTRES)
    near = found[squared_distances(torch.zeros(1, 2), CENTRES)[0] == 100]
    assert near.shape == (4,)
    torch.testing.assert_close(near / found.max(), torch.full((4,), math.exp(-2)))


def test_entropy() -> None:
    assert entropy(torch.full((313,), 3.0)) == pytest.approx(math.log(313))
    assert entropy(torch.tensor([0.0, 2.0])) == 0


@pytest.mark.parametrize(
    ("pixel", "name"),
    [
        ((128, 128, 128), "grey"),
        ((255, 0, 0), "red"),
        ((255, 165, 0), "orange"),
        ((255, 255, 0), "yellow"),
        ((0, 255, 0), "green"),
        ((0, 255, 255), "cyan"),
        ((0, 0, 255), "blue"),
        ((255, 0, 255), "purple"),
        ((255, 105, 180), "pink"),
    ],
)
def test_colours_have_the_names_that_people_use(pixel: tuple[int, ...], name: str) -> None:
    lab = rgb_to_lab(torch.tensor([pixel], dtype=torch.uint8))
    bins, _ = coded(lab[:, 1:], 1)
    assert NAMES[name_of_bins(CENTRES)[bins[0, 0]]] == name


def test_a_picture_of_the_plane_has_a_to_the_right_and_b_upwards() -> None:
    plane = in_plane(CENTRES, CENTRES, 999.0, 2)
    assert plane.shape == (44, 40, 2)
    assert plane[-1, 0].tolist() == [999, 999]  # no bin there
    a, b = plane[20, 20].tolist()
    assert plane[20, 22].tolist() == [a + 10, b]
    assert plane[18, 20].tolist() == [a, b + 10]
