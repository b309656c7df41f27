"""How far boxes overlap."""

import numpy as np


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (k, 4) and (n, 4), pixel edges; (k, n) float64. Boxes have an area.

    The devkit adds 1 to each width and height, since its boxes name their last pixel. Pixel edges need no such thing: right is
    the annotation's xmax, left its xmin - 1.
    """
    first, second = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = sides.clip(min=0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (first, second)]
    union: np.ndarray = areas[0] + areas[1] - common
    return common / union
