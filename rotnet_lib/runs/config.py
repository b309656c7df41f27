"""Configs of the stages that make runs: seed, data, device, schedule."""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.source import DATASETS, split_name
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.runs.protocols import benchmark_of, kind_of, protocol_key, protocol_values
from rotnet_lib.runs.resolution import (
    ALL,
    CORES,
    NONE,
    OWN,
    PROTOCOL,
    WrongValue,
    naming,
)
from rotnet_lib.runs.stage_config import EXECUTION, EXPERIMENT, StageConfig, later, taking

Fraction = Annotated[float, Field(gt=0, lt=1)]

_FACTOR = TypeAdapter(Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)])
_FACTORS = TypeAdapter(tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...])


def _checked(decay: Any) -> Any:
    """Validate a number or a list by its own limits. A union type would report an error for both alternatives."""
    return (_FACTORS if isinstance(decay, list | tuple) else _FACTOR).validate_python(decay)


Decay = Annotated[float | tuple[float, ...], BeforeValidator(_checked)]


# The field `validate` hides pydantic's method of that name, which is deprecated, and which nothing here calls.
warnings.filterwarnings("ignore", 'Field name "validate" in "ImagesConfig" shadows', UserWarning)


class RunConfig(StageConfig):
    """Fields of the stages that make runs: the seed, the data, the device."""

    seed: int = Field(0, ge=0, description="random seed of weights, batch order and augmentation", json_schema_extra=EXPERIMENT)
    dataset: str = Field(
        description="name of the dataset, such as shapes or imagefolder:/path", json_schema_extra=taking(PROTOCOL)
    )
    train_size: int | None = Field(ge=1, description="training images, balanced over classes", json_schema_extra=taking(ALL))
    test_size: int | None = Field(ge=1, description="test images, balanced over classes", json_schema_extra=taking(ALL))

    workers: int | None = Field(
        ge=0, description="worker processes for streamed data", json_schema_extra=EXECUTION | taking(CORES)
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="auto: a GPU if there is one", json_schema_extra=EXECUTION
    )
    threads: int | None = Field(ge=1, description="CPU threads", json_schema_extra=EXECUTION | taking(CORES))

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        with naming("arch"):
            return protocol_values(cls.stage, values["arch"], kind_of(values))

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        if "arch" not in values:
            return PROTOCOL
        return f"{PROTOCOL}: {benchmark_of(values['arch'])}, {protocol_key(cls.stage, values['arch'], kind_of(values))}"

    @classmethod
    def takes(cls, dataset: str) -> bool:
        """Whether a dataset name is of the kind that this stage reads. The dataset itself need not exist."""
        raise NotImplementedError

    @classmethod
    def own_counts(cls, dataset: str) -> tuple[int, int] | None:
        """How many training and test images the user's own data has (`imagefolder:/path`, `voc:/path`); None for other data.

        Raises RotnetError if there is no such dataset, or it is missing.
        """
        raise NotImplementedError

    def source(self) -> tuple[Any, ...]:
        """The parameters that decide the fingerprint."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """The fingerprint of the data. Raises RotnetError if the dataset is unknown or its files are missing."""
        raise NotImplementedError

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics that a run of this config can have: a suite is checked against them when it is planned."""
        raise NotImplementedError

    @property
    def slug(self) -> str:
        """Readable start of the run's name."""
        raise NotImplementedError


class ImagesConfig(RunConfig):
    """Fields of the stages that read images with one label each (`rotnet_lib.data.DATASETS`)."""

    validate: Fraction | None = Field(  # type: ignore[assignment]
        description="fraction of the training images held out and tested on",
        json_schema_extra=taking(NONE) | later(None),
    )
    image_size: int | None = Field(
        ge=8, description="side of the input images in pixels; own: the dataset's", json_schema_extra=taking(OWN)
    )
    crop_pct: float = Field(
        gt=0,
        le=1,
        description="centre crop / resized shorter side: 0.875 for 224 of 256",
        json_schema_extra=taking(PROTOCOL),
    )
    grey: bool = Field(False, description="convert images to greyscale", json_schema_extra=EXPERIMENT)
    stream: bool = Field(
        description="decode files batch by batch, for data larger than memory", json_schema_extra=taking(PROTOCOL)
    )
    shrink: int | None = Field(
        ge=8,
        description="read copies with this shorter side in pixels; none: the files",
        json_schema_extra=taking(NONE),
    )

    max_damaged: float = Field(
        0.001, ge=0, le=1, description="fraction of image files that may be unreadable", json_schema_extra=EXECUTION
    )

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        asked = super().protocol_for(values)
        return asked | {"stream": _streamed(values.get("dataset") or asked["dataset"])}

    @classmethod
    def takes(cls, dataset: str) -> bool:
        return dataset.partition(":")[0] in DATASETS

    @classmethod
    def own_counts(cls, dataset: str) -> tuple[int, int] | None:
        source, argument = split_name(dataset, DATASETS)
        return source.count(argument)

    def check_ancestors(self, planned: Mapping[str, Mapping[str, Any]]) -> None:
        self.check_held_out(planned, None)

    def check_held_out(self, planned: Mapping[str, Mapping[str, Any]], fingerprint: str | None) -> None:
        """Raises WrongValue if a run that this one builds on was trained on images that `validate` holds out here.

        Args:
            planned: parameters of runs that are not made yet, by name.
            fingerprint: of the data: it tells the same data under another name. None: it is not known yet.
        """
        from rotnet_lib.runs.ancestors import ancestors  # it imports this module

        if self.validate is None:
            return
        for run in ancestors(self.model_dump(), self.runs, planned):
            same = run.parameters.get("dataset") == self.dataset or (fingerprint is not None and run.fingerprint == fingerprint)
            held = run.parameters.get("validate")
            if same and (held or 0) < self.validate:
                trained = f"with validate {held:g}" if held else "on all of them"
                raise WrongValue(
                    "validate",
                    f"{self.stage}: validate: {self.validate:g} of the training images would be held out, but {run.name} was "
                    f"trained {trained}. Name a run that was trained with validate={self.validate:g} or more, or leave it out.",
                )

    @property
    def data(self) -> DataSpec:
        """The images that a run sees."""
        return DataSpec(**{field.name: getattr(self, field.name) for field in fields(DataSpec)})

    def source(self) -> tuple[Any, ...]:
        return (self.dataset, self.image_size, self.crop_pct)

    def fingerprint(self) -> str:
        return self.data.open().fingerprint


def _streamed(dataset: Any) -> bool:
    """Whether a dataset is streamed by default. False for an unknown name, which is reported when it is opened."""
    kind = str(dataset).partition(":")[0]
    return kind in DATASETS and DATASETS[kind].streamed


class ScheduleConfig(RunConfig):
    """Fields of the stages that train by SGD: the learning rate over the run."""

    lr: float = Field(ge=0, description="peak learning rate, for the batch size given", json_schema_extra=taking(PROTOCOL))
    schedule: Literal["step", "one-cycle"] = Field(
        "step", description="step: x lr_decay at each milestone; one-cycle: up over a quarter, down"
    )
    lr_milestones: tuple[Fraction, ...] = Field(
        description="fractions of the training at which the rate changes", json_schema_extra=taking(PROTOCOL)
    )
    lr_decay: Decay = Field(
        description="factor at each milestone, or a list of one for each", json_schema_extra=taking(PROTOCOL)
    )

    @model_validator(mode="after")
    def _a_factor_for_each_milestone(self) -> Self:
        if isinstance(self.lr_decay, tuple) and len(self.lr_decay) != len(self.lr_milestones):
            raise ValueError(
                f"lr_decay lists {len(self.lr_decay)}, lr_milestones {len(self.lr_milestones)}: "
                "give a factor for each milestone, or a single number for all"
            )
        return self

    @property
    def lr_factors(self) -> tuple[float, ...]:
        """The factor on the learning rate at each of `lr_milestones`."""
        return self.lr_decay if isinstance(self.lr_decay, tuple) else (self.lr_decay,) * len(self.lr_milestones)


class TrainingConfig(ScheduleConfig, ImagesConfig):
    """Fields of the stages that train by epochs: the labels, the optimiser, the augmentation."""

    labels_per_class: int | None = Field(
        ge=1,
        description="use only the first K images per class; an epoch keeps its length",
        json_schema_extra=EXPERIMENT | taking(ALL),
    )
    epochs: int = Field(ge=1, description="passes over the training images", json_schema_extra=taking(PROTOCOL))
    batch_size: int = Field(ge=2, description="images per step, without rotated copies", json_schema_extra=taking(PROTOCOL))
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on every trained parameter")
    augment: Augment = Field(
        description="none; with flips: pad-crop (by an eighth), random-crop, resized-crop",
        json_schema_extra=taking(PROTOCOL),
    )
    colour_jitter: float = Field(
        0.0,
        ge=0,
        le=1,
        description="largest random change of brightness, contrast and saturation; of hue a quarter of it",
        json_schema_extra=EXPERIMENT,
    )

    compile: bool = Field(False, description="use torch.compile; compiling takes about a minute", json_schema_extra=EXECUTION)
    gpus: int = Field(
        1,
        ge=1,
        description="training processes, started by torchrun; with device cpu: on its cores",
        json_schema_extra=EXECUTION,
    )

    @property
    def by_epochs(self) -> bool:
        """Whether a run of this config trains in steps, epoch by epoch: not if its classifiers are solved for at once."""
        return True

    def trained_images(self, train: int) -> int:
        """How many images an epoch has, where the data has `train` training images."""
        return train

    @model_validator(mode="after")
    def _equal_parts(self) -> Self:
        if self.batch_size % self.gpus:
            raise ValueError(
                f"gpus: a batch of {self.batch_size} images does not divide among {self.gpus} processes. "
                "Choose batch_size a multiple of gpus"
            )
        return self
