"""What the probe and finetune stages run: classifiers on a backbone, trained with labels."""

from rotnet_lib.data.dataset import Dataset
from rotnet_lib.evaluation.classifier_task import ClassifierTask
from rotnet_lib.models.backbone import Backbone
from rotnet_lib.models.split import Half
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.train import Outcome, train_stage


def classifier_task(
    config: ClassifierConfig, data: Dataset, *, freeze: bool, half: Half = "both"
) -> tuple[ClassifierTask, Backbone]:
    """The task of a config on a dataset, and the backbone in its module, frozen or not. Raises as `make_backbone`."""
    backbone = config.make_backbone(data)
    task = ClassifierTask(
        backbone,
        data,
        layers=config.layers,
        classifier=config.classifier,
        views=config.views,
        combine=config.combine,
        half=half,
        freeze=freeze,
        seed=config.seed,
    )
    return task, backbone


def train_classifiers(config: ClassifierConfig, *, freeze: bool, half: Half = "both") -> Outcome:
    """Train classifiers on the config's backbone and layers; see `train_stage`."""
    return train_stage(config, lambda data: classifier_task(config, data, freeze=freeze, half=half))
