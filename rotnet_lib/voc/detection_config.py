"""Parameters of the detection stage: Fast R-CNN on a backbone (docs/protocol.md, "PASCAL VOC")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from rotnet_lib.data.voc.sets import VocSet
from rotnet_lib.data.voc.source import VocTaskName
from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.resolution import PROTOCOL
from rotnet_lib.runs.stage_config import EXPERIMENT, taking
from rotnet_lib.voc.config import VocConfig
from rotnet_lib.voc.detector_settings import EngineName, ProposalsName, default_engine

if TYPE_CHECKING:
    from rotnet_lib.data.voc.proposals import Proposals
    from rotnet_lib.data.voc.split import VocSplit

Scale = Annotated[int, Field(ge=32)]


class DetectionConfig(VocConfig):
    """Fast R-CNN on a backbone, VOC 2007 trainval -> test (docs/protocol.md, "PASCAL VOC"; tables 7 and 8).

    conv1 is fixed, conv2 to fc7 are trained, as in the FeatureDecoupling code's `train.prototxt`; biases have twice the
    learning rate and no weight decay. A batch is 2 images with 64 RoIs each, at most a quarter of them foreground. The shorter
    side of a training image is resized to a size drawn from `train_scales`, of a test image to `test_scale`; training images
    are flipped with probability 0.5. Objects marked difficult are not trained on; images with no others are left out.
    """

    stage: ClassVar[str] = "voc_detection"
    task: ClassVar[VocTaskName] = "detection"

    engine: EngineName = Field(
        description="detectron2 or torchvision; protocol: detectron2 if installed",
        json_schema_extra=EXPERIMENT | taking(PROTOCOL),
    )
    proposals: ProposalsName = Field(
        "selective-search",
        description="selective-search, selective-search-250 (faster), or rpn (not published)",
    )
    train_scales: tuple[Scale, ...] = Field(
        (480, 576, 688, 864, 1200), min_length=1, description="shorter side in pixels, one drawn per image"
    )
    test_scale: Scale = Field(600, description="shorter side of test images in pixels")
    train_max_side: Scale = Field(2000, description="largest longer side of training images in pixels")
    test_max_side: Scale = Field(1000, description="largest longer side of test images in pixels")
    rois: int = Field(64, ge=4, description="regions per image in a training step")

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return super().protocol_for(values) | {"engine": default_engine()}

    @property
    def side(self) -> int:
        return 224

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("map", "map_area")

    @property
    def slug(self) -> str:
        return self.describe(*([] if self.proposals == "selective-search" else [self.proposals]), self.engine)

    def open_data(self) -> VocSet:
        """The data, its training split without images that have nothing to train on. Prints how many these are."""
        voc = super().open_data()
        kept = tuple(name for index, name in enumerate(voc.train.names) if not voc.train.objects(index).difficult.all())
        if not kept:
            raise RotnetError(f"{self.stage}: no image of the {voc.train.name} split has an object that is not difficult.")
        left_out = len(voc.train) - len(kept)
        if left_out:
            print(f"Skipped {left_out} of {len(voc.train)} training images: without objects, or with 'difficult' ones only.")
        return replace(voc, train=replace(voc.train, names=kept))

    @property
    def prepared(self) -> tuple[Any, ...]:
        return (*super().prepared, self.proposals)

    def prepare_data(self, voc: VocSet) -> None:
        super().prepare_data(voc)
        if all(voc.test.objects(index).difficult.all() for index in range(len(voc.test))):
            raise RotnetError(
                f"{self.stage}: no image of the {voc.test.name} split has an object that is not difficult, so that there is "
                "nothing to find in the test. Take other images for it."
            )
        self.find_proposals(voc.train, voc)
        self.find_proposals(voc.test, voc)

    def find_proposals(self, split: VocSplit, voc: VocSet) -> Proposals | None:
        """The selective search's proposals for a split; None if an RPN proposes.

        They are computed on all cores, whatever `workers` is, since nothing trains at that time.
        """
        from rotnet_lib.data.voc.proposals import LONGER_SIDE, REDUCED_SIDE, find_proposals

        if self.proposals == "rpn":
            return None
        side = LONGER_SIDE if self.proposals == "selective-search" else REDUCED_SIDE
        return find_proposals(split, voc.fingerprint, longer_side=side)
