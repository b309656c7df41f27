"""Seeds: where patches lie, the energy of each, how they are drawn."""

import pytest
import torch

from rotnet_lib.pretext.parts.seed_patches import draw_seeds, gradient_energy, places


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_places_are_spread_over_the_image_to_its_edges() -> None:
    found = places(64, 32)
    assert len(found) == 25
    assert sorted({row for row, _ in found}) == sorted({column for _, column in found}) == [0, 8, 16, 24, 32]


@pytest.mark.parametrize(("size", "side", "count"), [(32, 32, 1), (33, 32, 4), (34, 32, 9)])
def test_there_are_no_more_places_than_pixels_to_move_by(size: int, side: int, count: int) -> None:
    found = places(size, side)
    assert len(set(found)) == count
    assert max(found) == (size - side, size - side)


def test_energy_is_the_mean_squared_difference_of_neighbours() -> None:
    images = torch.randint(0, 256, (3, 3, 9, 9), dtype=torch.uint8, generator=rng())
    found = gradient_energy(images, 6)
    assert found.shape == (3, 16)
    for number, (row, column) in enumerate(places(9, 6)):
        patch = images[1, :, row : row + 6, column : column + 6].double()
        expected = (patch[:, 1:] - patch[:, :-1]).square().mean() + (patch[:, :, 1:] - patch[:, :, :-1]).square().mean()
        assert float(found[1, number]) == pytest.approx(float(expected), rel=1e-5)


def test_one_colour_has_no_energy() -> None:
    assert gradient_energy(torch.full((2, 3, 8, 8), 77, dtype=torch.uint8), 8).tolist() == [[0], [0]]


def test_images_and_places_are_drawn_by_their_energy() -> None:
    energy = torch.tensor([[1.0, 0], [0, 0], [3, 3], [0, 2]])
    drawn = [draw_seeds(energy, 1, rng(seed)) for seed in range(3000)]
    pairs = torch.tensor([[int(image), int(place)] for image, place in drawn])
    shares = [float(((pairs == torch.tensor(pair)).all(1)).float().mean()) for pair in ([0, 0], [2, 0], [2, 1], [3, 1])]
    assert shares == pytest.approx([1 / 9, 3 / 9, 3 / 9, 2 / 9], abs=0.03)
    assert sum(shares) == pytest.approx(1)  # nothing without energy


def test_seeds_are_different_images_in_their_order() -> None:
    energy = torch.rand(50, 4, generator=rng())
    energy[::2] = 0
    images, which = draw_seeds(energy, 25, rng())
    assert images.tolist() == list(range(1, 50, 2))
    assert which.shape == (25,)
    some, _ = draw_seeds(energy, 10, rng())
    assert some.tolist() == sorted(set(some.tolist()))


def test_a_generator_decides() -> None:
    energy = torch.rand(50, 4, generator=rng())
    first, again, other = (draw_seeds(energy, 10, rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(torch.stack(first), torch.stack(other))
