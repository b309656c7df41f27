"""k-means in torch: seeded, on any device, and never with an empty cluster."""

from dataclasses import dataclass

import torch

from rotnet_lib.training.devices import exact_products

ITERATIONS = 20
"""As in DeepCluster's code."""
_SCORES = 1 << 22
"""Numbers held at a time of the N x k distances: 16 MB, which is faster than all of them on a CPU."""


@dataclass(frozen=True)
class Clusters:
    """What k-means found.

    Attributes:
        labels: (N,) int64 in [0, k), on the points' device; each cluster has a point.
        emptied: how often a cluster had lost all its points, over all iterations.
    """

    labels: torch.Tensor
    emptied: int


def kmeans(points: torch.Tensor, count: int, rng: torch.Generator, iterations: int = ITERATIONS) -> Clusters:
    """Lloyd's algorithm from random points.

    A cluster that has lost all its points gets half of another one, which is drawn with a probability that grows with its
    size and cut in two across a random direction (after Caron et al., ECCV 2018, section 3.3: a centre that is empty moves
    beside another, and the two share that one's points).

    Args:
        points: (N, D) float, N at least `count`.
        count: k.
        rng: on the CPU.
        iterations: assignments of all points to the nearest mean, each followed by new means.
    """
    points = points.contiguous()
    start = torch.randperm(len(points), generator=rng)[:count]
    labels = nearest(points, points[start.to(points.device)])
    emptied = fill_empty(labels, points, count, rng)
    for _ in range(iterations):
        labels = nearest(points, means(points, labels, count))
        emptied += fill_empty(labels, points, count, rng)
    return Clusters(labels, emptied)


def nearest(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Points (N, D) to the number of the nearest of k centres (k, D): (N,) int64."""
    half = centres.square().sum(1) / 2
    rows = max(1, _SCORES // len(centres))
    with exact_products(points.device):
        return torch.cat([torch.addmm(half, part, centres.T, alpha=-1).argmin(1) for part in points.split(rows)])


def means(points: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    """The mean (k, D) of each cluster's points, none of them empty."""
    sums = points.new_zeros(count, points.shape[1]).index_add_(0, labels, points)
    return sums / labels.bincount(minlength=count)[:, None]


def fill_empty(labels: torch.Tensor, points: torch.Tensor, count: int, rng: torch.Generator) -> int:
    """Give each empty cluster a half of another's points, in place (see `kmeans`). Returns how many were empty.

    Args:
        labels: (N,) int64 in [0, k).
        points: (N, D) float.
        count: k, at most N.
        rng: on the CPU.
    """
    sizes = labels.bincount(minlength=count).cpu()
    empty = (sizes == 0).nonzero()[:, 0].tolist()
    for cluster in empty:
        other = int(torch.multinomial((sizes - 1).clamp(min=0).double(), 1, generator=rng))
        members = (labels == other).nonzero()[:, 0]
        direction = torch.randn(points.shape[1], generator=rng).to(points)
        moved = members[(points[members] @ direction).argsort(stable=True)[len(members) // 2 :]]
        labels[moved] = cluster
        sizes[cluster], sizes[other] = len(moved), len(members) - len(moved)
    return len(empty)
