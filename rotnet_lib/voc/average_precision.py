"""VOC's average precision of detections, the same for both engines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rotnet_lib.data.voc.overlap import iou

MIN_IOU = 0.5
"""A detection matches an object if their IoU is larger."""


@dataclass(frozen=True)
class Truth:
    """The objects of one class in one image.

    Attributes:
        boxes: (n, 4) float, left, top, right, bottom as pixel edges.
        difficult: (n,) bool; detections of difficult objects are ignored.
    """

    boxes: np.ndarray
    difficult: np.ndarray


@dataclass(frozen=True)
class Curve:
    """Precision and recall of a class after each of its k counted detections, in the order of descending scores.

    Attributes:
        recall: (k,) float64 in [0, 1], not decreasing.
        precision: (k,) float64 in [0, 1].
        objects: how many objects there are, without difficult ones; at least 1.
    """

    recall: np.ndarray
    precision: np.ndarray
    objects: int

    def average_precision_11(self) -> float:
        """VOC 2007's, in [0, 1]: the mean over recalls 0, 0.1, ..., 1 of the best precision at that recall or a higher one."""
        # The devkit's steps with their rounding: 3 times 0.1 is a little above 0.3, so 3 objects of 10 do not reach it.
        best = [self.precision[self.recall >= step].max(initial=0.0) for step in np.arange(0.0, 1.1, 0.1)]
        return float(np.mean(best))

    def average_precision_area(self) -> float:
        """VOC's since 2010, in [0, 1]: the area under the curve, with the best precision at each recall or a higher one."""
        recall = np.concatenate([[0.0], self.recall])
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(recall) * best))


def curve(truths: Sequence[Truth], images: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> Curve | None:
    """The curve of one class over a split; None if the split has no object of the class but difficult ones.

    The rules are the devkit's as detectron2 implements them: the IoU must be above 0.5, where the devkit also accepts 0.5.

    Detections are taken by descending score, equal scores in the order given. Each is assigned to the object of its image with
    the largest IoU, difficult ones included. If that IoU is above 0.5, the first detection of an object is a true positive and
    every further one a false positive, but detections of a difficult object are ignored. All others are false positives.

    Args:
        truths: the objects of each image.
        images: (k,) int64, the detections' places in `truths`.
        boxes: (k, 4) float, pixel edges.
        scores: (k,) float.
    """
    objects = sum(int((~truth.difficult).sum()) for truth in truths)
    if not objects:
        return None
    order = np.argsort(-scores, kind="stable")
    images, boxes = images[order], boxes[order]
    matched, overlap = _nearest(truths, images, boxes)
    hit = overlap > MIN_IOU
    difficult = np.concatenate([truth.difficult for truth in truths])
    ignored = np.zeros(len(boxes), bool)
    ignored[hit] = difficult[matched[hit]]
    counts = hit & ~ignored
    right = np.zeros(len(boxes), bool)
    # The first place of each object in `matched`: its detection with the highest score.
    right[np.flatnonzero(counts)[np.unique(matched[counts], return_index=True)[1]]] = True
    true, false = np.cumsum(right), np.cumsum(~right & ~ignored)
    # An ignored detection repeats the point before it. Those at the beginning have no point before, and are left out.
    seen = true + false > 0
    return Curve(true[seen] / objects, true[seen] / (true + false)[seen], objects)


def _nearest(truths: Sequence[Truth], images: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each detection the object of its image with the largest IoU, the first of equals.

    Returns:
        (k,) int64, its place among the objects of all images; and (k,) float64, the IoU, 0 if the image has no objects.
    """
    matched, overlap = np.zeros(len(boxes), np.int64), np.zeros(len(boxes))
    starts = np.cumsum([0] + [len(truth.boxes) for truth in truths])
    by_image = np.argsort(images, kind="stable")
    bounds = np.searchsorted(images[by_image], np.arange(len(truths) + 1))
    for image, truth in enumerate(truths):
        places = by_image[bounds[image] : bounds[image + 1]]
        if len(places) and len(truth.boxes):
            found = iou(boxes[places], truth.boxes)
            matched[places] = starts[image] + found.argmax(1)
            overlap[places] = found.max(1)
    return matched, overlap
