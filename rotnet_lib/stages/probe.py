"""The probe stage: classifiers on the frozen layers of a backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from rotnet_lib.errors import RotnetError
from rotnet_lib.lazy import torch
from rotnet_lib.models import ARCHS, CLASSIFIERS, SVM
from rotnet_lib.models.inputs import LAB
from rotnet_lib.models.split import Half
from rotnet_lib.runs.config import ImagesConfig, TrainingConfig
from rotnet_lib.runs.protocols import Recipe, benchmark_of, recipes
from rotnet_lib.runs.stage_config import EXPERIMENT, later
from rotnet_lib.stages.backbone_config import UNTRAINED
from rotnet_lib.stages.classifier_config import ClassifierConfig
from rotnet_lib.stages.register import stage

if TYPE_CHECKING:
    from rotnet_lib.data.source import Statistics
    from rotnet_lib.models.backbone import Backbone
    from rotnet_lib.stages.train import Outcome

_SOLVED = "the svm classifier is not trained in steps"
_OF_STEPS = tuple(set(TrainingConfig.model_fields) - set(ImagesConfig.model_fields) - {"labels_per_class"})
"""Parameters of a training in steps."""
_REMEDY = "Leave half out, or name the backbone of a split-brain run (-p backbone RUN)"


class ProbeConfig(ClassifierConfig):
    """Classifiers on frozen features (docs/protocol.md: tables 1, 3, 4, 5, 6 and the frozen stem).

    The backbone is frozen, in evaluation mode, and is run once a batch for all layers probed. Nesterov momentum 0.9, weight
    decay 5e-4. Reported: the last epoch on the test split. With `labels_per_class`, the semi-supervised classifier of
    figure 5b.

    NIN, batch 128, random crop and flip. Non-linear: three fully connected layers of 200-200-10, 50 epochs, lr 0.1 x0.2
    after 20, 40, 45. Conv: a third NIN block, 100 epochs, lr 0.1 x0.2 after 35, 70, 85.

    AlexNet, batch 192, random crop of 224 from 256 and flip. Linear: adaptive max pool to about 9 000 elements, batch norm,
    35 epochs, lr 0.01 x0.2 after 5, 15, 25; by the recipe of Decoupling 65 epochs, x0.2 after 5, 25, 45. Rest, the non-linear
    probe of table 4: the layers of an AlexNet above the one probed, 40 epochs, lr 0.01 x0.2 after 10, 20, 30; on conv2 it is
    the frozen stem.

    SVM: one for each class against all others, with the squared hinge loss, on all layers named together; see
    `stages.svm_probe`. Nothing is trained in steps, and images are not augmented.

    With `half`, of a split-brain backbone, classifiers see the channels of one half; those of the other half are 0, so that
    the probe is else the same as on both. `all` layers are then those of two halves.
    """

    stage: ClassVar[str] = "probe"
    version: ClassVar[int] = 2  # the linear classifier pools its map to about 9 600 elements
    classifiers: ClassVar[tuple[str, ...]] = (*CLASSIFIERS, SVM)

    recipe: Recipe = Field(
        "rotnet",
        description="published schedule to follow: rotnet's or decoupling's",
        json_schema_extra=EXPERIMENT,
    )
    classifier: str = Field(
        "nonlinear",
        description="linear, nonlinear, conv, svm (layers together) or rest (train all layers above `layer` anew)",
        json_schema_extra=EXPERIMENT,
    )
    grid: int = Field(
        4, ge=1, description="svm: side of the grid that each map is max-pooled to", json_schema_extra=EXPERIMENT | later(4)
    )
    half: Half = Field(
        "both",
        description="both, L or ab: the half of a split-brain backbone that classifiers see",
        json_schema_extra=EXPERIMENT | later("both"),
    )

    @classmethod
    def loads(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        layers = super().loads(parameters)
        if layers != ("all",) or parameters.get("half", "both") == "both":
            return layers
        arch = str(parameters.get("arch"))
        return ARCHS[arch].halved if arch in ARCHS else ()  # of a run that is still looked for: those that it has

    @classmethod
    def without_meaning(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        if values.get("classifier") == SVM:
            return dict.fromkeys(_OF_STEPS, _SOLVED)
        return {"grid": "only the svm classifier pools maps to a grid"}

    @property
    def by_epochs(self) -> bool:
        return self.classifier != SVM

    @property
    def metric_names(self) -> tuple[str, ...]:
        return (f"{'+'.join(self.layer)}_top1",) if self.classifier == SVM else super().metric_names

    @property
    def layers(self) -> tuple[str, ...]:
        return ARCHS[self.arch].halved if self.layer == ("all",) and self.half != "both" else super().layers

    @model_validator(mode="after")
    def _recipe_there_is(self) -> Self:
        there = recipes(self.stage)
        if self.recipe != "rotnet" and self.recipe not in there.get((benchmark_of(self.arch), self.classifier), []):
            where = [
                f"{kind} on {arch}"
                for (benchmark, kind), names in there.items()
                for arch in ARCHS
                if self.recipe in names and benchmark_of(arch) == benchmark
            ]
            raise ValueError(
                f"recipe: no schedule of {self.recipe}'s is published for {self.classifier} on {self.arch}, but for: "
                f"{', '.join(where)}. Leave recipe out"
            )
        return self

    @model_validator(mode="after")
    def _half_there_is(self) -> Self:
        halved = ARCHS[self.arch].halved
        if self.half == "both":
            return self
        if not halved:
            those = ", ".join(arch for arch in ARCHS if ARCHS[arch].halved)
            raise ValueError(f"half: {self.arch} has no halves, only {those}. {_REMEDY}")
        if self.backbone in UNTRAINED:
            raise ValueError(f"half: an untrained backbone reads RGB, and no half of it L or ab. {_REMEDY}")
        if whole := [layer for layer in self.layers if layer not in halved]:
            raise ValueError(
                f"half: of {self.arch}, {', '.join(whole)} depends on both halves. Take layers out of {', '.join(halved)}"
            )
        return self

    @property
    def slug(self) -> str:
        described = self.describe(f"probe-{self.backbone}" if self.backbone in UNTRAINED else "probe")
        half = "" if self.half == "both" else f"-{self.half}-half"
        grid = f"-grid-{self.grid}" if self.classifier == SVM else ""
        return described + half + grid + ("" if self.recipe == "rotnet" else f"-{self.recipe}-recipe")

    def open_backbone(self, statistics: Statistics, images: Callable[[int, torch.Generator], torch.Tensor]) -> Backbone:
        """See `BackboneConfig.open_backbone`. Raises RotnetError too if a half is asked for and the weights do not read Lab."""
        backbone = super().open_backbone(statistics, images)
        if self.half != "both" and backbone.inputs != LAB:
            raise RotnetError(
                f"half: the network in {self.weights_file()} reads {backbone.inputs}, not {LAB}, so no half of it sees "
                f"{self.half} alone. {_REMEDY}."
            )
        return backbone


@stage(ProbeConfig)
def probe(config: ProbeConfig) -> Outcome:
    """Train the classifiers; see `train_stage`, and `svm_probe` for the SVM.

    Metrics: `<layer>_top1`, percent; of the SVM one of all layers, `conv1+conv2_top1` or `all_top1`.
    """
    if config.classifier == SVM:
        from rotnet_lib.stages.svm_probe import svm_probe

        return svm_probe(config)
    from rotnet_lib.stages.train_classifiers import train_classifiers

    return train_classifiers(config, freeze=True, half=config.half)
