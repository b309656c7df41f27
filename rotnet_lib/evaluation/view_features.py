"""Features of several views of an image, averaged or concatenated (docs/protocol.md, "Questions", 8)."""

from collections.abc import Callable, Iterable

import torch

from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.split import Half, only

_Turn = Callable[[torch.Tensor], torch.Tensor]


def _quarter_turns(count: int) -> _Turn:
    return lambda maps: torch.rot90(maps, count, dims=(-2, -1))


def _mirror(maps: torch.Tensor) -> torch.Tensor:
    return maps.flip(-1)


_VIEWS: dict[Views, list[tuple[_Turn, _Turn]]] = {
    "one": [(_quarter_turns(0), _quarter_turns(0))],
    "rotated": [(_quarter_turns(k), _quarter_turns(-k)) for k in range(4)],
    "flipped": [(_quarter_turns(0), _quarter_turns(0)), (_mirror, _mirror)],
}
"""View -> for each copy, the transform of the image, and the inverse transform of its feature maps."""


def view_features(
    backbone: Backbone, images: torch.Tensor, layers: Iterable[str], views: Views, combine: Combine, half: Half = "both"
) -> dict[str, torch.Tensor]:
    """The layers' feature maps of all views of each image, transformed back, then averaged or concatenated.

    Args:
        backbone: runs once, on all views together.
        images: (N, 3, S, S), uint8 or float.
        layers: taps of the backbone.
        views: one, rotated or flipped, with V = 1, 4 or 2 views.
        combine: average over the views, or concatenate their channels.
        half: of a backbone of two halves, whose channels are kept; those of the other half are 0.

    Returns:
        Layer -> (N, C, H, W), or (N, V*C, H, W) for concatenated views.
    """
    copies = _VIEWS[views]
    if len(copies) == 1:
        return {layer: only(half, maps) for layer, maps in backbone.features(images, layers).items()}
    seen = torch.cat([turn(images) for turn, _ in copies]).contiguous(memory_format=torch.channels_last)
    found = {}
    for layer, maps in backbone.features(seen, layers).items():
        upright = [back(part) for (_, back), part in zip(copies, only(half, maps).split(len(images)), strict=True)]
        found[layer] = torch.cat(upright, 1) if combine == "concatenate" else torch.stack(upright).mean(0)
    return found
