"""Features of several layers together, each map pooled to a coarse grid: what support vector machines tell classes by."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import torch
from torch import nn

from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.evaluation.pooled_features import gather_features
from rotnet_lib.evaluation.view_features import view_features
from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.split import Half


def grid_features(
    backbone: Backbone,
    layers: Sequence[str],
    split: Split | StreamedSplit,
    *,
    grid: int,
    views: Views = "one",
    combine: Combine = "average",
    half: Half = "both",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image's features, by one pass of the backbone over the images, which are not augmented.

    A layer's map is max-pooled to grid x grid; a smaller one stays as it is. Images that cannot be read are left out.
    Collective: in a process group each process computes its share, and all get the same.

    Args:
        backbone: on the split's device.
        layers: distinct taps of it.
        split: the images.
        grid: side of the grid.
        views, combine, half: see `view_features`.

    Returns:
        (n, F) float32, one layer after the other, and the labels (n,) int64, on the split's device.

    Raises RotnetError if features are not finite, the images cannot be read, or the features would take more than a third of
    the memory that is left: what follows needs as much again.
    """

    def rows(images: torch.Tensor) -> torch.Tensor:
        maps = view_features(backbone, images, layers, views, combine, half)
        return torch.cat([_pooled(maps[layer], grid) for layer in layers], 1)

    blank = torch.zeros(1, 3, split.size, split.size, dtype=torch.uint8, device=split.device)
    with torch.no_grad():
        _check_memory(len(split), rows(blank).shape[1], grid, split.device)
    found, places = gather_features(backbone, split, lambda batch: rows(batch.images))
    if not found.isfinite().all():
        raise RotnetError(
            f"the features of {', '.join(layers)} are not finite: the backbone's weights have diverged. Take another run or "
            "checkpoint."
        )
    return found, split.labels[places]


def _pooled(maps: torch.Tensor, grid: int) -> torch.Tensor:
    """Maps (n, C, H, W) to (n, F) float32."""
    sides = [min(grid, side) for side in maps.shape[-2:]]
    return nn.functional.adaptive_max_pool2d(maps, sides).flatten(1).float()


def _check_memory(images: int, features: int, grid: int, device: torch.device) -> None:
    needed = 4 * images * features
    available = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > available / 3:
        raise RotnetError(
            f"classifier svm: {features:,} features of {images:,} images take {needed / 2**30:.1f} GiB, and of the "
            f"{available / 2**30:.1f} GiB that are left here they may take a third. Take fewer layers, a smaller grid than "
            f"{grid}, or fewer images (train_size)."
        )
