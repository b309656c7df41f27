"""The probe stage: classifiers on the frozen layers of a backbone."""

from typing import ClassVar

from rotnet_lib.evaluation.backbone_config import RANDOM
from rotnet_lib.evaluation.classifier_config import ClassifierConfig
from rotnet_lib.evaluation.classifier_task import train_classifiers
from rotnet_lib.stage import Outcome


class ProbeConfig(ClassifierConfig):
    """Classifiers on frozen features (docs/protocol.md, "CIFAR-10": non-linear probe, conv probe; tables 1 and 3).

    The backbone is frozen, in evaluation mode, and is run once a batch for all layers probed. Non-linear: three fully
    connected layers of 200-200-10, 50 epochs, lr 0.1 x0.2 after 20, 40, 45. Conv: a third NIN block, 100 epochs, lr
    0.1 x0.2 after 35, 70, 85. Batch 128, Nesterov momentum 0.9, weight decay 5e-4, random crop and flip. With
    `labels_per_class`, the semi-supervised classifier of figure 5b. Reported: the last epoch on the test split.
    """

    stage: ClassVar[str] = "probe"
    version: ClassVar[int] = 2  # the linear classifier pools its map to about 9 600 elements

    @property
    def slug(self) -> str:
        return self.describe("probe-random" if self.backbone == RANDOM else "probe")


def probe(config: ProbeConfig) -> Outcome:
    """Train the classifiers; see `train_stage`. Metrics: `<layer>_top1`, percent."""
    return train_classifiers(config, freeze=True)
