"""What a detector is, whichever engine it is of; its settings are in `detector_settings`."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.inputs import INPUTS
from rotnet_lib.voc.detector_settings import ENGINES, EngineName, ProposalsName


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


def make_detector(engine: EngineName, backbone: Backbone, classes: int, config: DetectorConfig) -> Detector:
    """A detector whose trunk and head are the backbone's layers. New layers are initialised by torch's global generator.

    Raises RotnetError if the engine is not installed.
    """
    detector: Detector = importlib.import_module(ENGINES[engine]).make_detector(backbone, classes, config)
    return detector


def pad_together(images: list[Tensor], backbone: Backbone) -> Tensor:
    """Images (3, h, w) of several sizes as one normalised batch (N, C, H, W), padded below and on the right with zeros, which
    are the mean colour. C is of the backbone's kind of input: 3 for `rgb`.
    """
    height, width = (max(image.shape[side] for image in images) for side in (1, 2))
    channels = INPUTS[backbone.inputs].channels
    batch = torch.zeros(len(images), channels, height, width, device=images[0].device)
    for place, image in enumerate(images):
        batch[place, :, : image.shape[1], : image.shape[2]] = backbone.normalize(image[None])[0]
    return batch
