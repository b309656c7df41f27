"""Whether a generator's samples differ, or it has collapsed."""

import torch

_SHARE = 0.5
"""Of the distance of a typical image to the nearest other one: nearer samples count as repetitions."""


@torch.no_grad()
def distinct(samples: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Which samples are distinct: the nearest other sample is at least half as far away as images are from each other.

    Distances are Euclidean, over pixels. How far images are from each other is the median, over the images, of the distance to
    the nearest other one. Both are looked for among as many, which the distance to the nearest depends on. One sample by itself
    is distinct.

    Args:
        samples, images: (n, ...) each, their pixels in one range of values, of any dtype.

    Returns (n,) bool. Does not wait for the device.
    """
    return _nearest(samples) >= _SHARE * _nearest(images).median()


def _nearest(pictures: torch.Tensor) -> torch.Tensor:
    """The distance of each picture to the nearest other one, (n,); infinite where there is no other."""
    points = pictures.float().flatten(1)
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    alone = torch.eye(len(points), dtype=torch.bool, device=points.device)
    return distances.masked_fill(alone, torch.inf).amin(1)
