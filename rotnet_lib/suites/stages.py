"""The notebooks there are, and the config class of each."""

from rotnet_lib.config import RunConfig
from rotnet_lib.evaluation.finetune import FinetuneConfig
from rotnet_lib.evaluation.inspection import InspectConfig
from rotnet_lib.evaluation.probe import ProbeConfig
from rotnet_lib.evaluation.pu_weights import PuWeightsConfig
from rotnet_lib.evaluation.voc.classification import ClassificationConfig
from rotnet_lib.evaluation.voc.detection import DetectionConfig
from rotnet_lib.evaluation.voc.segmentation import SegmentationConfig
from rotnet_lib.registry import Registry
from rotnet_lib.training.pretrain import PretrainConfig

STAGES = Registry[type[RunConfig]]("notebook")
for _config in (
    *(PretrainConfig, ProbeConfig, FinetuneConfig, InspectConfig, PuWeightsConfig),
    *(ClassificationConfig, DetectionConfig, SegmentationConfig),
):
    STAGES.register(_config.stage)(_config)
