"""Parameters of the segmentation stage: an FCN on the AlexNet (docs/protocol.md, "PASCAL VOC")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from rotnet_lib.data.voc.sbd import NAME as SBD
from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.split import VOID
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.protocols import FCN_ALEXNET
from rotnet_lib.voc.config import VocConfig

_PREPARED_SIDE = 224
"""The image side, in pixels, at which the pool before fc6 equals the FCN's."""


class SegmentationConfig(VocConfig):
    """Segmentation: an FCN on the AlexNet, everything trained, VOC 2012 train -> val, mean IoU (table 7, last column).

    The published learning rate, schedule, batch size, image size and augmentation are not known, nor whether any layer was
    fixed. Used here are:

    - the network: conv1..conv5, max pool, fc6 as a 6 x 6 and fc7 as a 1 x 1 convolution, each followed by dropout 0.5, a 1 x 1
      convolution to the scores, bilinear upsampling by 32 (FCN-32s; Long, Shelhamer, Darrell 2015); the loss is the mean
      cross-entropy of the pixels that count;
    - FCN-AlexNet's optimiser (the same paper, section 4.3): lr 0.001, fixed; batch 20; momentum 0.9; weight decay 5e-4; twice
      the learning rate for biases;
    - 25 000 iterations, a number of our own: 340 passes over VOC 2012's 1 464 training images;
    - training images scaled by a factor from 0.5 to 2, mirrored, cropped to 512 x 512 (FCN: whole images, neither scaled nor
      mirrored); test images whole, at their own size.

    The published figure of supervised training is FCN-AlexNet's own: trained on SBD's masks, scored on seg11valid. `dataset` is
    `voc2011-sbd` for that split, whose protocol is FCN-AlexNet's lr 1e-4 and 100 000 iterations.
    """

    stage: ClassVar[str] = "voc_segmentation"
    task: ClassVar[Literal["segmentation"]] = "segmentation"

    image_size: int = Field(
        512, ge=64, le=2048, description="side of the training crops in pixels; test images keep their size"
    )
    scales: tuple[float, float] = Field((0.5, 2.0), description="range of the random factor that scales training images")

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return super().protocol_for(values) | (dict(FCN_ALEXNET) if values.get("dataset") == SBD else {})

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        return super().protocol_origin(values) + (f", {SBD}" if values.get("dataset") == SBD else "")

    @field_validator("scales")
    @classmethod
    def _in_order(cls, scales: tuple[float, float]) -> tuple[float, float]:
        if not 0.1 <= scales[0] <= scales[1] <= 10:
            raise ValueError(f"scales: {list(scales)}: the smaller factor first, both from 0.1 to 10, such as [0.5, 2.0]")
        return scales

    def prepare_data(self, voc: VocSet) -> None:
        """See `VocConfig.prepare_data`. Raises RotnetError too if no mask of a split shows a class."""
        for split in (voc.train, voc.test):
            masks = (split.mask(index) for index in range(len(split)))
            if not sum(int(((mask > 0) & (mask < VOID)).any()) for mask in masks):
                raise RotnetError(
                    f"{voc.title}: no mask of the {split.name} split shows a class, only 0 (background) and {VOID} (not "
                    f"counted). Write the classes as 1 to {len(voc.classes)} into the masks, such as {split.mask_path(0)}."
                )

    @property
    def side(self) -> int:
        return min(self.image_size, _PREPARED_SIDE)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("miou", "pixel_accuracy")

    @property
    def slug(self) -> str:
        return self.describe()
