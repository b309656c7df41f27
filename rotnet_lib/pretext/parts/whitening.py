"""Principal components of equal weight."""

import torch

from rotnet_lib.training.devices import exact_products

_LEAST = 1e-5
"""A component's variance, as a share of the largest: below it there is rounding rather than content."""
_ROWS = 1 << 16
"""Of the features, taken at a time: a centred copy of all would take their memory again."""


def whitened(features: torch.Tensor, components: int) -> torch.Tensor:
    """The first principal components of features, each with mean 0 and variance 1, and no two correlated.

    Args:
        features: (N, F) float32.
        components: at most so many; fewer where there are fewer of any variance.

    Returns (N, d) float32 on the features' device.
    """
    mean = features.mean(0)
    covariance = features.new_zeros(features.shape[1], features.shape[1])
    with exact_products(features.device):
        for part in features.split(_ROWS):
            centred = part - mean
            covariance += centred.T @ centred
    # Not on the device: float64 is not on each, and what is computed once an epoch may take seconds.
    variances, vectors = torch.linalg.eigh(covariance.cpu().double() / len(features))  # from the smallest up
    count = min(components, int((variances > _LEAST * variances[-1]).sum()))
    first = slice(len(variances) - count, None)
    projection = (vectors[:, first] / variances[first].sqrt()).to(features)
    with exact_products(features.device):
        return torch.cat([(part - mean) @ projection for part in features.split(_ROWS)])
