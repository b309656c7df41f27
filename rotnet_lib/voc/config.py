"""Parameters of the three VOC stages: a prepared backbone, trained by iterations."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from rotnet_lib.data.voc.sets import VocSet, open_voc, voc_counts, voc_fingerprint
from rotnet_lib.data.voc.source import VOC_SETS, VocTaskName
from rotnet_lib.models import ARCHS
from rotnet_lib.runs.config import ScheduleConfig
from rotnet_lib.runs.resolution import ALL, BACKBONE, CORES, NONE, PROTOCOL, WrongValue
from rotnet_lib.runs.stage_config import EXECUTION, EXPERIMENT, taking
from rotnet_lib.stages.backbone_config import RANDOM, UNTRAINED, BackboneConfig

_TOP = "fc7"
"""The layer that a VOC network is built on. Only AlexNet has it."""
_LOADED = "conv5"
"""The last layer that the weights must have. Those above it are started afresh where the weights end here."""


class VocConfig(BackboneConfig, ScheduleConfig):
    """Fields of the stages that transfer a backbone to PASCAL VOC.

    Batch norm is folded into the layers before it, and the weights are rescaled by data (see `preparation.prepare`). A `random`
    backbone is not rescaled: the published tables have both kinds. Where a backbone's weights end at conv5 or fc6, the layers
    above start afresh (`new_layers.complete`). Training is counted in iterations, with plain momentum as
    in Caffe; the learning rate of biases is twice that of weights.
    """

    task: ClassVar[VocTaskName]

    arch: str = Field(
        description="architecture of the backbone; alexnet if random", json_schema_extra=EXPERIMENT | taking(BACKBONE, PROTOCOL)
    )
    dataset: str = Field(
        description="voc2007, voc2012, voc2011-sbd (masks), voc:/path/to/VOCdevkit/VOC2007 or scenes:128",
        json_schema_extra=taking(PROTOCOL),
    )
    train_size: int | None = Field(ge=1, description="number of training images, the first ones", json_schema_extra=taking(ALL))
    test_size: int | None = Field(ge=1, description="number of test images, the first ones", json_schema_extra=taking(ALL))
    rescale: bool = Field(
        description="rescale the weights on data; protocol: yes, unless the backbone is random",
        json_schema_extra=taking(PROTOCOL),
    )
    iterations: int = Field(ge=1, description="batches to train on", json_schema_extra=taking(PROTOCOL))
    batch_size: int = Field(ge=1, description="images per iteration", json_schema_extra=taking(PROTOCOL))
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD, not Nesterov")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the trained weights")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout after fc6 and fc7")
    clip_gradient: float | None = Field(gt=0, description="largest norm of a step's gradient", json_schema_extra=taking(NONE))
    workers: int | None = Field(
        ge=0, description="worker processes that read images", json_schema_extra=EXECUTION | taking(CORES)
    )

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The only arch with fc7 is AlexNet."""
        asked = {"arch": "alexnet", "rescale": values.get("backbone") != RANDOM}
        return asked | (super().protocol_for(values) if "arch" in values else {})

    @classmethod
    def needs(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return (_TOP,)

    @classmethod
    def loads(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return (_LOADED,)

    @field_validator("arch")
    @classmethod
    def _with_top(cls, arch: str) -> str:
        able = [name for name in ARCHS if _TOP in ARCHS[name].taps]
        if arch not in able:
            raise WrongValue("arch", f"{cls.stage}: {arch} has no layer {_TOP} to build on. Allowed: {', '.join(able)}.")
        return arch

    @property
    def side(self) -> int:
        """Side in pixels of the square images that the backbone is prepared with."""
        raise NotImplementedError

    @classmethod
    def takes(cls, dataset: str) -> bool:
        kind = dataset.partition(":")[0]
        return kind in VOC_SETS and cls.task in VOC_SETS[kind].tasks

    @classmethod
    def own_counts(cls, dataset: str) -> tuple[int, int] | None:
        return voc_counts(dataset, cls.task)

    def source(self) -> tuple[Any, ...]:
        return (self.task, self.dataset)

    def fingerprint(self) -> str:
        return voc_fingerprint(self.dataset, self.task)

    def open_data(self) -> VocSet:
        """The data. Raises RotnetError as `open_voc`."""
        return open_voc(self.dataset, self.task, self.train_size, self.test_size)

    @property
    def prepared(self) -> tuple[Any, ...]:
        """What `prepare_data` depends on: for runs of which this is equal it need be called once."""
        return (*self.source(), self.train_size, self.test_size)

    def prepare_data(self, voc: VocSet) -> None:
        """Check the data before training: read every annotation, or mask, of both splits.

        Stages also compute here, once and cached, what several runs on the same data would otherwise compute at the same time.
        Raises RotnetError as `VocSplit.objects` and `VocSplit.mask` do.
        """
        for split in (voc.train, voc.test):
            for index in range(len(split)):
                split.objects(index)

    def describe(self, *what: str) -> str:
        """Readable start of the run's name: `voc-detection-random-alexnet`."""
        origin = [self.backbone] if self.backbone in UNTRAINED else []
        at = [f"at-{self.checkpoint:g}"] if self.checkpoint else []
        return "-".join(["voc", self.task, *origin, self.arch, *at, *what])
