"""Which crop of an image another image is."""

import numpy as np


def draw_of(original: np.ndarray, result: np.ndarray, padding: int) -> tuple[int, int, bool]:
    """The (down, right, flipped) crop of the padded image (C, H, W) that `result` is, found by trying each."""
    _, height, width = original.shape
    padded = np.pad(original, ((0, 0), (padding, padding), (padding, padding)))
    found = [
        (down, right, flipped)
        for down in range(2 * padding + 1)
        for right in range(2 * padding + 1)
        for flipped in (False, True)
        if np.array_equal(padded[:, down : down + height, right : right + width][..., :: -1 if flipped else 1], result)
    ]
    assert len(found) == 1, "no crop of the image"
    return found[0]
