"""The finetune stage: a classifier and its backbone, trained on all labels or a few."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from rotnet_lib.runs.stage_config import EXPERIMENT
from rotnet_lib.stages.backbone_config import UNTRAINED, Layers
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.register import stage

if TYPE_CHECKING:
    from rotnet_lib.stages.train import Outcome


class FinetuneConfig(ClassifierConfig):
    """A classifier on one layer, the blocks below it trained as well (docs/protocol.md, "CIFAR-10":
    fine-tuned, semi-supervised).

    Schedules, batch and augmentation as `ProbeConfig`; blocks above the layer are dropped. Reported: the last epoch on the
    test split.
    """

    stage: ClassVar[str] = "finetune"
    version: ClassVar[int] = 2  # the linear classifier pools its map to about 9 600 elements

    layer: Layers = Field(("conv2",), min_length=1, description="one layer", json_schema_extra=EXPERIMENT)
    classifier: str = Field(
        "conv",
        description="linear, nonlinear, conv, or rest: re-initialise and train all layers above `layer`",
        json_schema_extra=EXPERIMENT,
    )
    freeze: bool = Field(False, description="do not train the backbone", json_schema_extra=EXPERIMENT)

    @model_validator(mode="after")
    def _one_layer(self) -> Self:
        if len(self.layers) != 1:
            raise ValueError(f"layer: finetune takes one layer, not {', '.join(self.layers)}; probe takes several")
        return self

    @property
    def slug(self) -> str:
        return self.describe(self.backbone if self.backbone in UNTRAINED else "finetune") + ("-frozen" if self.freeze else "")


@stage(FinetuneConfig)
def finetune(config: FinetuneConfig) -> Outcome:
    """Train classifier and backbone; see `train_stage`. Metric: `<layer>_top1`, percent."""
    from rotnet_lib.stages.train_classifiers import train_classifiers

    return train_classifiers(config, freeze=config.freeze)
