"""Settings of the detector: Fast R-CNN on the AlexNet, by either of two engines.

The trunk is conv1..conv5 of a backbone with folded batch norms, conv1 fixed; then a RoI max pool of 6 x 6 at 1/16; fc6 and
fc7, each followed by dropout; a linear layer for the classes and one for the boxes (docs/protocol.md, "PASCAL VOC"). Both
engines take their settings from here, so that they differ in code, not in what they compute.
"""

import importlib.util
from typing import Literal

EngineName = Literal["torchvision", "detectron2"]
ProposalsName = Literal["selective-search", "selective-search-250", "rpn"]

ENGINES: dict[EngineName, str] = {
    "torchvision": "rotnet_lib.voc.torchvision_engine",
    "detectron2": "rotnet_lib.voc.detectron2_engine",
}
"""Engine -> module with a function `make_detector(backbone, classes, config)`, imported when it is used."""

TRUNK = ("conv1", "conv2", "conv3", "conv4", "conv5")
HEAD = ("fc6", "fc7")
STRIDE, POOLED = 16, 6
"""Pixels of the image for each cell of conv5's map, and the side of the map that a RoI is pooled to."""

FOREGROUND_SHARE, FOREGROUND_IOU = 0.25, 0.5
"""At most this share of an image's RoIs are foreground, which is an IoU with an object of at least `FOREGROUND_IOU`."""
BACKGROUND_IOU = (0.1, 0.5)
"""A RoI whose largest IoU with an object is in [low, high) is background. One below `low` is not used: it would be an easy
example (Girshick 2015, section 2.3)."""
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Factors of (dx, dy, dw, dh): 1 / (0.1, 0.1, 0.2, 0.2), the spread of the targets. Fast R-CNN measures the spread by class."""
SMOOTH_L1_BETA = 1.0
"""Error, in units of `BOX_WEIGHTS`, above which the box loss is linear. It is summed over foreground, divided by all RoIs."""
CLASS_STD, BOX_STD = 0.01, 0.001
"""Standard deviations of the two new layers' initial weights; their biases are 0."""

NMS_IOU = 0.3
"""Of two boxes of a class whose IoU is larger, the one with the lower score is dropped."""
MIN_SCORE, MOST_DETECTIONS = 0.01, 100
"""Detections with a lower score are dropped, then all but the best `MOST_DETECTIONS` of an image. Fast R-CNN has a threshold
for each class, which leaves 40 detections an image on average, and also keeps at most 100: here more low scores are kept,
which rank after all higher ones."""

RPN_IOU = (0.3, 0.7)
"""An anchor is background below the first IoU, and an object from the second on or if it is the best of an object (Ren et al.
2015)."""
RPN_ANCHORS, RPN_POSITIVE_SHARE, RPN_NMS_IOU = 256, 0.5, 0.7
RPN_BEFORE_NMS, RPN_AFTER_NMS = 2000, {"training": 2000, "testing": 1000}
RPN_RATIOS = (0.5, 1.0, 2.0)
"""Height / width of the anchors."""


def default_engine() -> EngineName:
    """detectron2 if it is installed, else torchvision."""
    return "detectron2" if importlib.util.find_spec("detectron2") else "torchvision"
