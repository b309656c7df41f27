"""Principal axes of colours: a basis, that of NumPy, and contrast along them."""

import numpy as np
import pytest
import torch

from rotnet_lib.pretext.parts.principal_axes import along_axes, principal_axes


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetric(count: int) -> torch.Tensor:
    drawn = torch.randn(count, 3, 3, generator=rng(), dtype=torch.float64)
    return drawn @ drawn.mT


@pytest.mark.parametrize(
    "matrices",
    [
        symmetric(200),
        torch.zeros(1, 3, 3, dtype=torch.float64),
        torch.ones(1, 3, 3, dtype=torch.float64),  # grey: two axes are alike
        torch.diag(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))[None],
        symmetric(5) * 1e6,
    ],
)
def test_axes_are_orthonormal_and_make_the_matrix_diagonal(matrices: torch.Tensor) -> None:
    axes = principal_axes(matrices)
    torch.testing.assert_close(axes @ axes.mT, torch.eye(3, dtype=torch.float64).expand_as(axes), atol=1e-12, rtol=0)
    diagonal = axes.mT @ matrices @ axes
    size = matrices.abs().max().clamp(min=1)
    torch.testing.assert_close(diagonal / size, torch.diag_embed(diagonal.diagonal(dim1=1, dim2=2)) / size, atol=1e-12, rtol=0)
    expected = np.linalg.eigvalsh(matrices.numpy())
    found = diagonal.diagonal(dim1=1, dim2=2).sort(1).values
    torch.testing.assert_close(found / size, torch.from_numpy(expected) / size, atol=1e-12, rtol=0)


def test_a_factor_stretches_the_deviation_along_its_axis_alone() -> None:
    images = torch.rand(1, 3, 40, 40, generator=rng(), dtype=torch.float64) * torch.tensor([100, 10, 1])[None, :, None, None]
    factors = torch.tensor([[2.0, 0.5, 1.5]], dtype=torch.float64)
    before, after = ((each.flatten(2)[0].cov().diagonal()).sqrt() for each in (images, along_axes(images, factors)))
    ratios = sorted((after / before).tolist())  # the axes are those of the channels, but for the sampling
    assert ratios == pytest.approx([0.5, 1.5, 2.0], rel=0.2)
    torch.testing.assert_close(along_axes(images, factors).mean((2, 3)), images.mean((2, 3)))


def test_factors_of_one_change_nothing() -> None:
    images = 255 * torch.rand(4, 3, 9, 7, generator=rng())
    torch.testing.assert_close(along_axes(images, torch.ones(4, 3)), images, atol=1e-3, rtol=0)


def test_an_image_of_one_colour_stays_as_it_is() -> None:
    images = torch.tensor([20.0, 100, 230])[None, :, None, None].expand(1, 3, 8, 8)
    torch.testing.assert_close(along_axes(images, torch.tensor([[2.0, 0.5, 2]])), images, atol=1e-4, rtol=0)


def test_grey_images_stay_grey() -> None:
    images = 255 * torch.rand(3, 1, 8, 8, generator=rng()).expand(-1, 3, -1, -1)
    found = along_axes(images, torch.tensor([[2.0, 0.5, 0.7]]).expand(3, 3))
    torch.testing.assert_close(found, found[:, :1].expand(-1, 3, -1, -1), atol=1e-3, rtol=0)
    assert (found - images).abs().max() > 1
