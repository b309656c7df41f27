"""Parameters of the classification stage: which classes an image shows (docs/protocol.md, "PASCAL VOC")."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rotnet_lib.data.voc.source import VocTaskName
from rotnet_lib.models import ARCHS
from rotnet_lib.runs.stage_config import EXPERIMENT
from rotnet_lib.voc.config import VocConfig


class ClassificationConfig(VocConfig):
    """The schedule of philkr/voc-classification: SGD, batch 16, 80 000 iterations, learning rate 0.001 halved every 10 000.

    Inputs are 224 pixels wide, as in the authors' Caffe model (FeatureDecoupling, `alexnet.prototxt`), and are random squares
    of the image, in training and in the test (see `crops.random_square`). For small images choose an `image_size` below their
    shorter side, or the scale is not random. The authors' model file has no dropout; Caffe's AlexNet, which the schedule was
    made for, has 0.5 after fc6 and fc7.
    """

    stage: ClassVar[str] = "voc_classification"
    task: ClassVar[VocTaskName] = "classification"

    trained: Literal["fc6-8", "all"] = Field(
        "fc6-8", description="fc6-8: train these, freeze conv1 to conv5; all: train every layer", json_schema_extra=EXPERIMENT
    )
    image_size: int = Field(224, ge=8, description="side of the network's square inputs in pixels")
    min_scale: float = Field(0.5, gt=0, description="smallest side of a random crop, in multiples of image_size")
    max_scale: float = Field(2.0, gt=0, description="largest side of a random crop, as far as the image allows")
    crops: int = Field(10, ge=1, description="random crops per test image, scores averaged; map_1crop: the first alone")
    weight_decay: float = Field(1e-6, ge=0, description="L2 penalty on every trained parameter")
    clip_gradient: float = Field(10.0, gt=0, description="largest norm of a step's gradient")

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale: {self.min_scale:g} is larger than max_scale {self.max_scale:g}")
        least = ARCHS[self.arch].min_image_size
        if self.image_size < least:
            raise ValueError(f"image_size: {self.arch} takes images of at least {least} pixels, not {self.image_size}")
        return self

    @property
    def side(self) -> int:
        return self.image_size

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("map", "map_1crop")

    @property
    def slug(self) -> str:
        return self.describe(self.trained)
