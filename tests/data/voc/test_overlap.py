"""Overlap of boxes against the devkit's arithmetic."""

import numpy as np
import pytest

from rotnet_lib.data.voc.overlap import iou


def test_pixel_edges_give_the_devkits_iou_with_its_plus_1():
    rng = np.random.default_rng(0)
    first, second = (np.sort(rng.integers(1, 60, (40, 2, 2)), 1).reshape(-1, 4) for _ in range(2))  # xmin, ymin, xmax, ymax
    for one in first:
        for two in second:
            width = max(min(one[2], two[2]) - max(one[0], two[0]) + 1.0, 0)
            height = max(min(one[3], two[3]) - max(one[1], two[1]) + 1.0, 0)
            areas = [(box[2] - box[0] + 1.0) * (box[3] - box[1] + 1.0) for box in (one, two)]
            edges = [box - [1, 1, 0, 0] for box in (one, two)]
            assert iou(edges[0][None], edges[1][None])[0, 0] == pytest.approx(
                width * height / (sum(areas) - width * height), rel=1e-12, abs=0
            )
