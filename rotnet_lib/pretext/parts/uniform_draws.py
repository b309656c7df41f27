"""An epoch in which each cluster is drawn equally often, however many images it has."""

import torch


def uniform_draws(labels: torch.Tensor, draws: int, rng: torch.Generator) -> torch.Tensor:
    """Images in a random order, as many of each cluster.

    With n clusters that have images, each gives draws // n + 1 of them: all of its images in random order, again and again
    until there are so many. All are shuffled, and those over are left out.

    Args:
        labels: (N,) int64 on the CPU, the images' clusters; negative: an image that is not to be drawn.
        draws: how many.
        rng: on the CPU.

    Returns (draws,) int64, indices of images.
    """
    kept = (labels >= 0).nonzero()[:, 0]
    members = kept[labels[kept].argsort(stable=True)].split(labels[kept].unique(return_counts=True)[1].tolist())
    each = draws // len(members) + 1
    drawn = []
    for images in members:
        passes = -(-each // len(images))
        orders = [images[torch.randperm(len(images), generator=rng)] for _ in range(passes)]
        drawn.append(torch.cat(orders)[:each])
    found = torch.cat(drawn)
    return found[torch.randperm(len(found), generator=rng)[:draws]]
