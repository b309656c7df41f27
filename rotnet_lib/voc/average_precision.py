"""How well objects were found: VOC's average precision, the same for both engines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rotnet_lib.data.voc.overlap import iou

MIN_IOU = 0.5
"""A detection that overlaps an object by more than that shows it."""


@dataclass(frozen=True)
class Truth:
    """The objects of one class in one image.

    Attributes:
        boxes: (n, 4) float, left, top, right, bottom as pixel edges.
        difficult: (n,) bool: neither to be found nor wrong to find.
    """

    boxes: np.ndarray
    difficult: np.ndarray


@dataclass(frozen=True)
class Curve:
    """Precision and recall of a class, after each of its k counted detections from the surest down.

    Attributes:
        recall: (k,) float64 in [0, 1], not falling.
        precision: (k,) float64 in [0, 1].
        objects: how many there were to find, difficult ones not counted; at least 1.
    """

    recall: np.ndarray
    precision: np.ndarray
    objects: int

    def average_precision_11(self) -> float:
        """VOC 2007's, in [0, 1]: the mean over recalls 0, 0.1, ..., 1 of the best precision at that recall or a higher one."""
        # The devkit's steps, rounding and all: 3 times 0.1 is a little over 0.3, so 3 objects of 10 do not reach it.
        best = [self.precision[self.recall >= step].max(initial=0.0) for step in np.arange(0.0, 1.1, 0.1)]
        return float(np.mean(best))

    def average_precision_area(self) -> float:
        """VOC 2010's and later, in [0, 1]: the area under the curve, precision being the best at that or a higher recall."""
        recall = np.concatenate([[0.0], self.recall])
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(recall) * best))


def curve(truths: Sequence[Truth], images: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> Curve | None:
    """The curve of one class over a split; None if the split has no object of it to find.

    By the devkit's rules as detectron2 carries them out, which ask for an IoU over 0.5 where the devkit takes just 0.5 too.

    From the surest detection down, each belongs to the object of its image that it overlaps most, difficult ones included. If
    the IoU is over 0.5 and the object is not difficult, the first detection of it is right and each further one wrong; one of a
    difficult object is neither. All others are wrong. Equal scores keep the order given.

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
    # The first place at which each object stands: the surest detection of it.
    right[np.flatnonzero(counts)[np.unique(matched[counts], return_index=True)[1]]] = True
    true, false = np.cumsum(right), np.cumsum(~right & ~ignored)
    # A detection of a difficult object repeats the point before it, but for those in front, which have none: left out.
    seen = true + false > 0
    return Curve(true[seen] / objects, true[seen] / (true + false)[seen], objects)


def _nearest(truths: Sequence[Truth], images: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each detection the object of its image with the largest IoU, the first of equals: its place among the objects of
    all images (k,), and that IoU (k,), 0 where the image has none."""
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
