"""Answers at each place of a backbone's last map: heads, and where in the image the places lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from rotnet_lib.models.arch import scaled

Head = Literal["fc", "conv"]

_FULLY_CONNECTED, _SMALL = 4096, 512
"""Channels of the heads' layers at width 1."""


def dense_head(kind: Head, channels: int, answers: int, width: float) -> nn.Sequential:
    """From a map (N, C, h, w) to answers (N, K, h, w).

    Args:
        kind: `fc`: AlexNet's fc6 and fc7 as convolutions behind a pool that keeps the map's size, the first 6 x 6 with gaps of
            one (Zhang et al., CVPR 2017, table 6); `conv`: one 3 x 3 convolution, for small images.
        channels: C.
        answers: K.
        width: factor on the channels in between.
    """
    if kind == "fc":
        hidden = scaled(_FULLY_CONNECTED, width)
        layers = [
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(channels, hidden, 6, dilation=2, padding=5, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 1, bias=False),
        ]
    else:
        hidden = scaled(_SMALL, width)
        layers = [nn.Conv2d(channels, hidden, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, nn.BatchNorm2d(hidden), nn.ReLU(inplace=True), nn.Conv2d(hidden, answers, 1))


def in_float32(logits: torch.Tensor) -> torch.Tensor:
    """In float32 or better."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class SplitHeads(nn.Module):
    """A head on each half of a map's channels: (N, C, h, w) to the answers of both, (N, K1, h, w) and (N, K2, h, w)."""

    def __init__(self, kind: Head, channels: int, answers: tuple[int, int], width: float) -> None:
        super().__init__()
        self.first, self.second = (dense_head(kind, channels // 2, own, width / 2) for own in answers)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = maps.chunk(2, 1)
        return self.first(first), self.second(second)


@dataclass(frozen=True)
class Sight:
    """Where in an image the places of a map lie, along either side.

    Attributes:
        first: pixel at the centre of what the first place sees (0 is the image's first pixel), without what padding adds.
        pitch: pixels from one place to the next.
        side: places a side.
    """

    first: float
    pitch: int
    side: int

    @classmethod
    def through(cls, blocks: Iterable[nn.Module], side: int) -> Sight:
        """Of a map of `side` places a side behind these blocks, whose layers are square and stand in their order."""
        first, pitch = 0.0, 1
        for layer in (layer for block in blocks for layer in block.modules()):
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
                kernel, stride, padding = (_one(of) for of in (layer.kernel_size, layer.stride, layer.padding))
                first += ((kernel - 1) / 2 - padding) * pitch
                pitch *= stride
        return cls(first, pitch, side)

    def shrunk(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) averaged over a square of `pitch` pixels round each place: (N, C, side, side) float32."""
        start = int((self.first - (self.pitch - 1) / 2) // 1)
        beyond = max(0, -start)  # at the border, what there is of the square
        seen = slice(max(0, start), start + self.side * self.pitch)
        inside = images[..., seen, seen].to(torch.float32, memory_format=torch.contiguous_format)
        means = F.avg_pool2d(inside, self.pitch, padding=beyond, count_include_pad=False)
        return means[..., : self.side, : self.side]

    def read(self, maps: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, side, side) at pixels of the image, bilinearly; beyond the outermost places as there.

        Args:
            maps: of N images.
            rows, columns: (N, ...), pixels.

        Returns (N, C, ...).
        """
        x, y = (((pixels - self.first) / self.pitch * 2 + 1) / self.side - 1 for pixels in (columns, rows))
        maps = in_float32(maps)  # half precision is too coarse for places
        grid = torch.stack([x, y], -1).to(maps.dtype).flatten(1, -2)[:, None]
        found = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[:, :, 0]
        return found.unflatten(2, rows.shape[1:])

    def enlarged(self, maps: torch.Tensor, size: int) -> torch.Tensor:
        """Maps (N, C, side, side) at every pixel of images of `size` pixels: (N, C, size, size)."""
        pixels = torch.arange(size, device=maps.device).expand(len(maps), size, size)
        return self.read(maps, pixels.transpose(1, 2), pixels)


def _one(sizes: int | str | tuple[int, ...]) -> int:
    """A layer's size along one side, which is that along the other."""
    assert not isinstance(sizes, str), "a convolution says its padding in pixels"
    return sizes if isinstance(sizes, int) else sizes[0]
