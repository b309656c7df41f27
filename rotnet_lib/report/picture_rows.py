"""How high the rows of a figure of pictures are, so that no room is left where all pictures of a row are low."""

from collections.abc import Sequence

import numpy as np

_TITLE = 0.25
"""Inches over a picture, for its title."""


def row_heights(pictures: Sequence[np.ndarray], across: int, *, width: float, tallest: float) -> list[float]:
    """Inches of each row, with its titles; at least one row.

    Args:
        pictures: (H, W, ...) each, in the order they are drawn in.
        across: how many stand in a row.
        width: inches of a picture.
        tallest: height of a picture to its width, at most; a taller one is drawn narrower.
    """
    shapes = [picture.shape[0] / picture.shape[1] for picture in pictures] or [1.0]
    rows = (shapes[place : place + across] for place in range(0, len(shapes), across))
    return [width * min(max(row), tallest) + _TITLE for row in rows]
