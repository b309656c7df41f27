"""Parameters of the probe and finetune stages: classifiers on a backbone's layers."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from rotnet_lib.errors import unknown
from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models import CLASSIFIERS
from rotnet_lib.runs.config import TrainingConfig
from rotnet_lib.runs.resolution import Upstream, naming
from rotnet_lib.runs.stage_config import EXPERIMENT
from rotnet_lib.stages.backbone_config import ImageBackboneConfig, Layers, all_spelled_out, layer_names


class ClassifierConfig(ImageBackboneConfig, TrainingConfig):
    """Classifiers on a backbone's layers.

    Attributes:
        classifiers: the names that `classifier` may have.
    """

    classifiers: ClassVar[tuple[str, ...]] = tuple(CLASSIFIERS)

    layer: Layers = Field(
        ("conv2",), min_length=1, description="a layer, several (conv1,conv2) or all", json_schema_extra=EXPERIMENT
    )
    classifier: str = Field(
        "nonlinear",
        description="linear, nonlinear, conv, or rest: re-initialise and train all layers above `layer`",
        json_schema_extra=EXPERIMENT,
    )
    views: Views = Field(
        "one",
        description="views of each image: as it is, at four right angles, or with its mirror image",
        json_schema_extra=EXPERIMENT,
    )
    combine: Combine = Field("average", description="how features of several views are combined", json_schema_extra=EXPERIMENT)

    @classmethod
    def find_upstream(cls, given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]]) -> Upstream | None:
        cls.check_classifier(given.get("classifier", cls.model_fields["classifier"].default))  # first: a typo is no missing run
        return super().find_upstream(given, planned)

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(layer_names(parameters.get("layer", cls.model_fields["layer"].default)))

    @field_validator("classifier")
    @classmethod
    def _known_classifier(cls, classifier: str) -> str:
        cls.check_classifier(classifier)
        return classifier

    @classmethod
    def check_classifier(cls, classifier: Any) -> None:
        """Raises WrongValue if the stage has no such classifier."""
        if classifier not in cls.classifiers:
            with naming("classifier"):
                raise unknown("classifier", str(classifier), cls.classifiers)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers named, `all` spelled out."""
        return all_spelled_out(self.layer, self.arch)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(f"{layer}_top1" for layer in self.layers)

    def describe(self, origin: str) -> str:
        """Readable start of the run's name: `probe-nin4-conv2-conv-20-labels`."""
        extras = [
            f"-{self.views}-{self.combine}" if self.views != "one" else "",
            f"-at-{self.checkpoint:g}" if self.checkpoint else "",
            f"-{self.labels_per_class}-labels" if self.labels_per_class else "",
        ]
        return f"{origin}-{self.arch}-{'-'.join(self.layer)}-{self.classifier}{''.join(extras)}"
