"""The principal axes of an image's colours, and contrast along them."""

import torch

_SWEEPS = 5
"""Of Jacobi's method. It converges quadratically: of 3 x 3 matrices three leave nothing but rounding."""


def principal_axes(matrices: torch.Tensor) -> torch.Tensor:
    """The eigenvectors of symmetric matrices by Jacobi's method, which a GPU computes without the host waiting for it.

    Args:
        matrices: (B, 3, 3) float.

    Returns (B, 3, 3), whose columns are orthonormal, in no order.
    """
    axes = torch.eye(3, dtype=matrices.dtype, device=matrices.device).expand_as(matrices)
    for _ in range(_SWEEPS):
        for first, second in ((0, 1), (0, 2), (1, 2)):
            across = matrices[:, first, second]
            angle = torch.atan2(2 * across, matrices[:, first, first] - matrices[:, second, second]) / 2
            turn = _turn(angle, first, second)
            matrices = _product(_product(turn.mT, matrices), turn)
            axes = _product(axes, turn)
    return axes


def along_axes(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply the colours of each image along their principal axes, about their mean.

    Args:
        images: (B, 3, H, W) float.
        factors: (B, 3), one for each axis.

    Returns (B, 3, H, W), which may lie outside of the range of the pixels. Of one colour, an image stays as it is.
    """
    mean = images.mean((2, 3), keepdim=True)
    centred = images - mean
    pixels = centred.flatten(2)
    covariance = torch.stack([(pixels * pixels[:, channel, None]).mean(2) for channel in range(3)], 2)
    axes = principal_axes(covariance)
    stretch = _product(axes * factors[:, None], axes.mT)[..., None, None]
    return mean + sum(stretch[:, :, channel] * centred[:, channel, None] for channel in range(3))


def _turn(angle: torch.Tensor, first: int, second: int) -> torch.Tensor:
    """Turns by angles (B,) in the plane of two of three axes: (B, 3, 3)."""
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    rows = [[one if row == column else zero for column in range(3)] for row in range(3)]
    rows[first][first] = rows[second][second] = angle.cos()
    rows[second][first] = angle.sin()
    rows[first][second] = -rows[second][first]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Products of matrices (B, 3, 3), in full precision: a GPU's own would be rounded to TF32."""
    return (left[..., None] * right[:, None]).sum(2)
