"""Examples of a pretext task: what the network saw of an image, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Example:
    """What a network saw of one image, and what it answered.

    Attributes:
        pictures: what it saw, in reading order: (h, w, 3) uint8 each.
        columns: in how many columns they are laid out: 3 for a puzzle of 3 x 3 tiles, 1 for a single picture.
        caption: what was true and what was answered, such as `true 90 degrees, said 180 degrees`.
        right: whether the answer was; None: there is no right and wrong.
        probability: in [0, 1], of the answer or of each of several, in the caption's order; empty: the task gives none.
        beside: how many examples, this one among them, are of the same image and stand beside each other.
    """

    pictures: list[np.ndarray]
    columns: int
    caption: str
    right: bool | None
    probability: tuple[float, ...] = ()
    beside: int = 1


def pictures_of(parts: torch.Tensor, count: int) -> list[list[np.ndarray]]:
    """The pictures of each example.

    Args:
        parts: (B * count, 3, h, w) uint8, those of an example one after the other.
        count: how many an example has.

    Returns B lists of (h, w, 3) uint8.
    """
    pictures = list(parts.permute(0, 2, 3, 1).cpu().numpy())
    return [pictures[start : start + count] for start in range(0, len(pictures), count)]
