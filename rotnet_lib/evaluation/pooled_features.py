"""Features of a frozen backbone's layers for all images of a split, averaged over each map."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from rotnet_lib.data.loader import Batch
from rotnet_lib.data.split import Split
from rotnet_lib.data.stream import StreamedSplit
from rotnet_lib.errors import RotnetError
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.training.image_pass import ImagePass


@dataclass(frozen=True)
class PooledFeatures:
    """What a backbone makes of the n images of a split that could be read, in the split's order.

    Attributes:
        layers: layer -> (n, C) float32, its output averaged over the map (global average pooling).
        labels: (n,) int64, the images' classes.
        places: (n,) int64, ascending, the images' places in the split.
    """

    layers: dict[str, torch.Tensor]
    labels: torch.Tensor
    places: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def pooled_features(backbone: Backbone, layers: Sequence[str], split: Split | StreamedSplit) -> PooledFeatures:
    """The pooled features of several layers, by one pass of the backbone over the images, which are not augmented.

    The backbone is in evaluation mode meanwhile, in the precision of `devices.autocast`; averages are taken in float32. Images
    that cannot be read are left out. Collective: in a process group each process computes its share, and all get the same.

    Args:
        backbone: on the split's device.
        layers: distinct taps of it.
        split: the images.

    Returns:
        Tensors on the split's device: 4 bytes times the channels of all layers for each image.

    Raises RotnetError if a layer's features are not finite, or the images cannot be read.
    """

    def rows(batch: Batch) -> torch.Tensor:
        maps = backbone.features(batch.images, layers)
        return torch.cat([maps[layer].mean((-2, -1), dtype=torch.float32) for layer in layers], 1)

    channels = [backbone.shape(layer, split.size)[0] for layer in layers]
    found, places = gather_features(backbone, split, rows)
    by_layer = dict(zip(layers, found.split(channels, 1), strict=True))
    for layer, features in by_layer.items():
        if not features.isfinite().all():
            raise RotnetError(
                f"the features of {layer} are not finite: the backbone's weights have diverged. Take another run or checkpoint."
            )
    return PooledFeatures(by_layer, split.labels[places], places)


def gather_features(
    backbone: Backbone, split: Split | StreamedSplit, rows: Callable[[Batch], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `rows` makes of the n images of a split that could be read, as (n, D) float32, and their places, (n,) int64.

    See `ImagePass.gather`, which raises what this does.
    """
    found, present = ImagePass(split, backbone).gather(rows)
    places = present.nonzero()[:, 0]
    return (found[places] if len(places) < len(found) else found), places
