"""The three stages that transfer a backbone to PASCAL VOC (docs/protocol.md, "PASCAL VOC")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotnet_lib.stages.register import stage
from rotnet_lib.voc.classification_config import ClassificationConfig
from rotnet_lib.voc.detection_config import DetectionConfig
from rotnet_lib.voc.segmentation_config import SegmentationConfig

if TYPE_CHECKING:
    from rotnet_lib.voc.transfer import VocOutcome


@stage(ClassificationConfig)
def classify(config: ClassificationConfig) -> VocOutcome:
    """Train a classifier on the config's backbone and evaluate it on the test images; see `transfer`."""
    from rotnet_lib.voc.classification import ClassificationTask, evaluate_classification
    from rotnet_lib.voc.transfer import transfer

    return transfer(config, ClassificationTask, evaluate_classification)


@stage(DetectionConfig)
def detect(config: DetectionConfig) -> VocOutcome:
    """The detection stage: see `transfer`."""
    from rotnet_lib.voc.detection import DetectionTask, evaluate_detection
    from rotnet_lib.voc.transfer import transfer

    return transfer(config, DetectionTask, evaluate_detection)


@stage(SegmentationConfig)
def segment(config: SegmentationConfig) -> VocOutcome:
    """Train an FCN as its config says, or show a finished run; see `transfer`."""
    from rotnet_lib.voc.segmentation import SegmentationTask, evaluate_segmentation
    from rotnet_lib.voc.transfer import transfer

    return transfer(config, SegmentationTask, evaluate_segmentation)
