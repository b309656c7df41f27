"""Interface and settings of the detector: Fast R-CNN on the AlexNet, by either of two engines.

The trunk is conv1..conv5 of a backbone with folded batch norms, conv1 fixed; then a RoI max pool of 6 x 6 at 1/16; fc6 and
fc7, each followed by dropout; a linear layer for the classes and one for the boxes (docs/protocol.md, "PASCAL VOC"). Both
engines take their settings from here, so that they differ in code, not in what they compute.
"""

import importlib
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from rotnet_lib.models.backbone import Backbone

EngineName = Literal["torchvision", "detectron2"]
ProposalsName = Literal["selective-search", "rpn"]

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


class DetectorConfig(Protocol):
    """The fields of the stage's config that an engine reads."""

    @property
    def proposals(self) -> ProposalsName: ...
    @property
    def rois(self) -> int:
        """RoIs an image in training."""

    @property
    def dropout(self) -> float: ...
    @property
    def test_scale(self) -> int:
        """Shorter side of test images in pixels; anchors are fractions of it."""


def anchor_sizes(config: DetectorConfig) -> tuple[float, ...]:
    """Square roots of the anchors' areas in pixels: 60, 120, 240, 480 if the shorter side of test images is 600."""
    return tuple(config.test_scale * share for share in (0.1, 0.2, 0.4, 0.8))


@dataclass(frozen=True)
class Detections:
    """The detections in an image.

    Attributes:
        boxes: (k, 4) float32: left, top, right, bottom as pixel edges of the image given.
        scores: (k,) float32 in [0, 1], in descending order.
        labels: (k,) int64, places in the classes.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Detector(nn.Module, ABC):
    """A network that is trained to detect objects, and detects them."""

    @abstractmethod
    def loss(
        self, images: list[Tensor], boxes: list[Tensor], labels: list[Tensor], proposals: list[Tensor] | None
    ) -> dict[str, Tensor]:
        """Name -> term of the loss, a scalar; the loss is their sum. Draws RoIs from torch's global generator.

        Args:
            images: (3, H, W) uint8 or float in [0, 255]; H and W may differ between images.
            boxes: of the objects, (n, 4) float32, pixel edges; n >= 1.
            labels: (n,) int64, places in the classes.
            proposals: (m, 4) float32, pixel edges; None: the detector proposes.
        """

    @abstractmethod
    def detect(self, images: list[Tensor], proposals: list[Tensor] | None) -> list[Detections]:
        """The detections in each image, the highest score first. The module must be in evaluation mode."""


def default_engine() -> EngineName:
    """detectron2 if it is installed, else torchvision."""
    return "detectron2" if importlib.util.find_spec("detectron2") else "torchvision"


def make_detector(engine: EngineName, backbone: Backbone, classes: int, config: DetectorConfig) -> Detector:
    """A detector whose trunk and head are the backbone's layers. New layers are initialised by torch's global generator.

    Raises RotnetError if the engine is not installed.
    """
    detector: Detector = importlib.import_module(ENGINES[engine]).make_detector(backbone, classes, config)
    return detector


def pad_together(images: list[Tensor], backbone: Backbone) -> Tensor:
    """Images (3, h, w) of several sizes as one normalised batch (N, 3, H, W), padded below and on the right with zeros, which
    are the mean colour.
    """
    height, width = (max(image.shape[side] for image in images) for side in (1, 2))
    batch = torch.zeros(len(images), 3, height, width, device=images[0].device)
    for place, image in enumerate(images):
        batch[place, :, : image.shape[1], : image.shape[2]] = backbone.normalize(image[None])[0]
    return batch
