"""What the probe and fine-tune stages share: a classifier on a backbone's layers."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator

from rotnet_lib.config import EXPERIMENT, Fraction, TrainingConfig
from rotnet_lib.evaluation.backbone_config import BackboneConfig
from rotnet_lib.evaluation.views import Combine, Views
from rotnet_lib.models import CLASSIFIERS

_SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)},
    "nonlinear": {"epochs": 50, "lr_milestones": (0.4, 0.8, 0.9)},
    "conv": {"epochs": 100, "lr_milestones": (0.35, 0.7, 0.85)},
    "rest": {"epochs": 100, "lr_milestones": (0.35, 0.7, 0.85)},
}
"""docs/protocol.md, "CIFAR-10": x0.2 after 20, 40, 45 of 50 epochs, or after 35, 70, 85 of 100. It has no linear probe on NIN;
that one takes the non-linear probe's schedule. The rest of a NIN takes the conv probe's, which it is on a NIN of 3 blocks."""


class ClassifierConfig(BackboneConfig, TrainingConfig):
    """Parameters of a classifier on a backbone. Those left at None follow the backbone's run, or the protocol."""

    # None in a notebook, filled by `build`, as in `BackboneConfig`.
    epochs: int = Field(None, ge=1, description="None: the protocol's for the classifier")  # type: ignore[assignment]
    lr_milestones: tuple[Fraction, ...] = Field(
        None,  # type: ignore[arg-type]
        description="fractions of the run after which the rate falls; None: the protocol's for the classifier",
    )

    classifier: str = Field("nonlinear", description="linear, nonlinear, conv or rest", json_schema_extra=EXPERIMENT)
    views: Views = Field(
        "one",
        description="show the backbone each image as it is, at four right angles, or with its mirror image",
        json_schema_extra=EXPERIMENT,
    )
    combine: Combine = Field(
        "average", description="what becomes of the features of several views", json_schema_extra=EXPERIMENT
    )

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        classifier = str(parameters.get("classifier") or cls.model_fields["classifier"].default)
        CLASSIFIERS[classifier]  # first: a wrong name must not be answered with what the folder of runs lacks
        given = {name: value for name, value in parameters.items() if value is not None}
        return super().build(_SCHEDULES.get(classifier, {}) | given)

    def protocol(self) -> dict[str, Any]:
        schedule = {name: list(v) if isinstance(v, tuple) else v for name, v in _SCHEDULES.get(self.classifier, {}).items()}
        return super().protocol() | schedule

    @field_validator("classifier")
    @classmethod
    def _known_classifier(cls, classifier: str) -> str:
        CLASSIFIERS[classifier]
        return classifier

    def describe(self, origin: str) -> str:
        """Readable start of the run's name: `probe-nin4-conv2-conv-20-labels`."""
        extras = [
            f"-{self.views}-{self.combine}" if self.views != "one" else "",
            f"-at-{self.checkpoint:g}" if self.checkpoint else "",
            f"-{self.labels_per_class}-labels" if self.labels_per_class else "",
        ]
        return f"{origin}-{self.arch}-{'-'.join(self.layer)}-{self.classifier}{''.join(extras)}"
