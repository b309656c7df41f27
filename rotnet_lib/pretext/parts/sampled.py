"""Training images that frequencies of colours are counted in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch

if TYPE_CHECKING:
    from rotnet_lib.data.dataset import Dataset
    from rotnet_lib.data.split import Split
    from rotnet_lib.data.stream import StreamedSplit

_SAMPLED, _AT_ONCE = 2048, 64
"""How many images, and how many at a time."""


def sampled(split: Split | StreamedSplit) -> Iterator[torch.Tensor]:
    """Images evenly spread over a split, a batch at a time: (n, 3, S, S) uint8 on the CPU. Damaged ones are left out."""
    from rotnet_lib.data.split import Request

    places = torch.linspace(0, len(split) - 1, min(len(split), _SAMPLED)).round().long().to(split.index_device)
    with closing(split.cut(Request(part) for part in places.split(_AT_ONCE))) as cuts:
        for found in cuts:
            yield found.images.permute(0, 3, 1, 2).cpu()


def no_colours(data: Dataset, images: int, found: str) -> RotnetError:
    """The error that data are grey: in so many images, `found`."""
    return RotnetError(
        f"dataset: {data.title} has no colours to learn from: in {images} of its training images {found}. Take images in "
        "colour, or a task that needs none, such as rotation."
    )
