"""The notebooks there are, and the config class of each."""

from rotnet_lib.registry import Registry
from rotnet_lib.runs.config import RunConfig
from rotnet_lib.stages.finetune import FinetuneConfig
from rotnet_lib.stages.inspection import InspectConfig
from rotnet_lib.stages.pretrain import PretrainConfig
from rotnet_lib.stages.probe import ProbeConfig
from rotnet_lib.stages.pu_weights import PuWeightsConfig
from rotnet_lib.voc.classification import ClassificationConfig
from rotnet_lib.voc.detection import DetectionConfig
from rotnet_lib.voc.segmentation import SegmentationConfig

STAGES = Registry[type[RunConfig]]("notebook")
for _config in (
    *(PretrainConfig, ProbeConfig, FinetuneConfig, InspectConfig, PuWeightsConfig),
    *(ClassificationConfig, DetectionConfig, SegmentationConfig),
):
    STAGES.register(_config.stage)(_config)
