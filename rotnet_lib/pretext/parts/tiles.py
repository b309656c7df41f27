"""Tiles cut out of images, and what is done to each before a network sees it."""

from typing import Literal

import torch

_FLAT = 1e-5 * 255
"""A standard deviation below which a tile is flat: it is not divided by that."""

TileNormalization = Literal["mean-std", "mean", "none"]


def cut_tiles(images: torch.Tensor, tops: torch.Tensor, lefts: torch.Tensor, side: int) -> torch.Tensor:
    """Square tiles of each image, without a wait for the device.

    Args:
        images: (B, C, S, S) of any dtype, in channels-last memory for speed.
        tops, lefts: int64 corners in [0, S - side], (B, T), or (B, T, C) where each colour plane has corners of its own.
        side: of a tile, p, in pixels.

    Returns:
        (B*T, C, p, p) of the images' dtype, in channels-last memory: the T tiles of the first image, then those of the second.
    """
    pixels = images.permute(0, 2, 3, 1)
    span = torch.arange(side, device=images.device)
    image = torch.arange(len(images), device=images.device)
    if tops.dim() == 3:
        rows, columns = tops[:, :, None, None] + span[:, None, None], lefts[:, :, None, None] + span[:, None]
        cut = pixels[image[:, None, None, None, None], rows, columns, torch.arange(images.shape[1], device=images.device)]
    else:
        rows, columns = tops[:, :, None, None] + span[:, None], lefts[:, :, None, None] + span
        cut = pixels[image[:, None, None, None], rows, columns]
    return cut.flatten(0, 1).permute(0, 3, 1, 2)


def normalized(tiles: torch.Tensor, how: TileNormalization) -> torch.Tensor:
    """Each tile by itself, channel by channel: `mean-std` to zero mean and unit deviation, `mean` to zero mean.

    So that statistics of colour and contrast, which go on from tile to tile, do not give their places away. A flat channel is
    not divided by its deviation.

    Args:
        tiles: (n, C, p, p), in [0, 255].
        how: not `none`.

    Returns (n, C, p, p) float32.
    """
    centred = tiles.float() - tiles.float().mean(dim=(2, 3), keepdim=True)
    if how == "mean":
        return centred
    deviation = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return centred / torch.where(deviation < _FLAT, 1.0, deviation)
