"""Defences against shortcuts, patch by patch."""

import pytest
import torch

from rotnet_lib.pretext.parts.patches import coarser, of_unit_contrast, pixelating_matrices, projected


def test_the_projection_is_the_published_matrix() -> None:
    rows = torch.tensor([[5 / 6, 1 / 3, -1 / 6], [1 / 3, 1 / 3, 1 / 3], [-1 / 6, 1 / 3, 5 / 6]])
    patches = torch.rand(4, 3, 5, 5)
    torch.testing.assert_close(projected(patches), torch.einsum("ij,njyx->niyx", rows, patches))
    torch.testing.assert_close(projected(projected(patches)), projected(patches))


def test_a_flat_patch_stays_flat() -> None:
    flat = torch.zeros(2, 3, 4, 4)
    flat[1, 0, 0, 0] = 1e-4
    assert torch.isfinite(of_unit_contrast(flat)).all()
    assert of_unit_contrast(flat).abs().max() < 0.01


@pytest.mark.parametrize(("side", "sizes"), [(96, range(10, 96)), (24, range(2, 24)), (2, range(1, 2))])
def test_patches_are_shrunk_to_the_published_sizes_and_enlarged_again(side: int, sizes: range) -> None:
    matrices = torch.from_numpy(pixelating_matrices(side))
    assert len(matrices) == 1 + len(sizes)
    assert torch.equal(matrices[0], torch.eye(side))
    torch.testing.assert_close(matrices.sum(2), torch.ones(len(matrices), side))
    rank = torch.linalg.matrix_rank(matrices[1:].double(), atol=1e-4).tolist()
    assert all(found <= size for found, size in zip(rank, sizes, strict=True))


@pytest.mark.parametrize("side", [24, 96])
def test_the_number_of_pixels_left_is_uniform(side: int) -> None:
    which = coarser(torch.arange(0, 2**16), side)
    least = max(1, round(side * 10 / 96))
    assert which.min() == 1
    assert which.max() == side - least
    pixels = (which - 1 + least) ** 2
    middle = (least**2 + (side - 1) ** 2) / 2
    assert pixels.float().mean().item() == pytest.approx(middle, rel=0.15)
