"""Targets that are noise: fixed points on the sphere, one for each image, and which image has which."""

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

_BITS = 32
_MASK = (1 << _BITS) - 1


def noise_targets(rows: torch.Tensor, dimension: int) -> torch.Tensor:
    """Rows of a matrix C of independent directions, uniform on the sphere: normal vectors, divided by their length.

    A row is computed from its number when it is asked for, so that C takes no memory: for ImageNet and 2 048 dimensions it
    would be 10.5 GB.

    Args:
        rows: (B,) int64, not negative.
        dimension: D.

    Returns (B, D) float32 of unit length, on the device of `rows`; always the same. For i and j below D / 2, entry (i, j)
    comes from the same random state as entry (j, i).
    """
    columns = torch.arange(-(-dimension // 2), device=rows.device)
    state = _mixed(_mixed(rows)[:, None] ^ _mixed(columns))
    # Two uniform numbers make two normal ones (Box and Muller); the first is not 0, whose logarithm is infinite.
    first, second = ((_mixed(state + salt).float() + 0.5) / (1 << _BITS) for salt in (1, 2))
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    return normalize(torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :dimension], dim=1)


def matched(similarity: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Whose target each image of a batch takes, so that the targets stay the same and the sum of the similarities is largest.

    Exact, by SciPy's `linear_sum_assignment` on the CPU: waits for the device.

    Args:
        similarity: (B, B) float, of image i and the target that image j has now.
        index: (B,) int64, which images they are. Of one that occurs twice, the first place counts.

    Returns (2, n) int64 on the device of `index`: n different images, and the image whose target each of them takes.
    """
    images, scores = index.cpu().numpy(), similarity.detach().cpu().numpy()
    _, first = np.unique(images, return_index=True)
    # Of a training that diverged, which the trainer tells by its loss, no similarity is a number.
    _, taken = linear_sum_assignment(np.nan_to_num(scores[np.ix_(first, first)]), maximize=True)
    return torch.from_numpy(np.stack([images[first], images[first[taken]]])).to(index.device)


def _mixed(values: torch.Tensor) -> torch.Tensor:
    """Whole numbers (int64) to ones in [0, 2^32) that look random: a hash (Wellons' `lowbias32`)."""
    values = values & _MASK
    values = ((values ^ (values >> 16)) * 0x7FEB352D) & _MASK
    values = ((values ^ (values >> 15)) * 0x846CA68B) & _MASK
    return values ^ (values >> 16)
