"""What a network makes of the same inputs in the course of its training."""

from __future__ import annotations

import torch
from torch import nn

from rotnet_lib.pretext.examples import Example, pictures_of
from rotnet_lib.training.task import Epoch

ACROSS = 8
"""Pictures of a row."""
TOGETHER = 64
"""Pictures that are made together, of which a row shows every eighth: generators normalise by the batch."""
_ROWS = 6
"""Rows that are kept on the way, at most, evenly over the epochs, the first before any."""


class PictureRows(nn.Module):
    """Rows of pictures, each made before an epoch. They are no part of the weights; a run that is resumed has them again.

    Args:
        side: of a picture, in pixels.
    """

    pictures: torch.Tensor
    epochs: torch.Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(_ROWS * ACROSS, 3, side, side, dtype=torch.uint8), persistent=False)
        self.register_buffer("epochs", torch.full((_ROWS,), -1), persistent=False)

    def keep(self, epoch: Epoch, pictures: torch.Tensor) -> None:
        """Keep pictures (8, 3, S, S), uint8, if a row is made before this epoch."""
        kept = sorted({round(row * epoch.epochs / _ROWS) for row in range(_ROWS)})
        if epoch.number in kept:
            row = kept.index(epoch.number)
            self.pictures[row * ACROSS : (row + 1) * ACROSS] = pictures
            self.epochs[row] = epoch.number

    def charts(self, what: str, now: torch.Tensor) -> list[Example]:
        """The rows, and as the last one what is made now, (8, 3, S, S) uint8; `what` they are begins the captions."""
        rows = [
            (number, pictures)
            for number, pictures in zip(self.epochs.tolist(), self.pictures.split(ACROSS), strict=True)
            if number >= 0
        ]
        named = [(f"{what}, {f'after epoch {number}' if number else 'before training'}", row) for number, row in rows]
        return [
            Example(pictures, ACROSS, caption, None)
            for caption, row in [*named, (f"{what}, at the end of training", now)]
            for pictures in pictures_of(row, ACROSS)
        ]


def whole(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures of any numbers about [0, 255] as uint8."""
    return pictures.round().clamp(0, 255).to(torch.uint8)


def spread(pictures: torch.Tensor) -> torch.Tensor:
    """Those of pictures (64, ...) made together that a row shows: (8, ...)."""
    return pictures[:: TOGETHER // ACROSS]
