"""An example of a pretext task: what the network saw of one image, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Example:
    """What a network saw of one image, and what it answered.

    Attributes:
        pictures: what it saw, in reading order: (h, w, 3) uint8 each.
        columns: in how many columns they are laid out: 3 for a puzzle of 3 x 3 tiles, 1 for a single picture.
        caption: what was true and what was answered, such as `true 90 degrees, said 180 degrees`.
        right: whether the answer was; None: there is no right and wrong.
    """

    pictures: list[np.ndarray]
    columns: int
    caption: str
    right: bool | None
