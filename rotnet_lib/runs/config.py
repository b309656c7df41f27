"""Base classes of the stages' configs. A stage is one notebook; its config is that notebook's parameters, typed.

The notebook's parameters cell, the suite YAML, the command line and the Python API all build these classes. Field defaults
are the published protocol of the stage, with `rotnet_lib.runs.protocols` for values that depend on the arch. A run's report
lists where it differs from them.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.runs.plain import check_no_bool, plain_values
from rotnet_lib.runs.protocols import kind_of, protocol_values

EXECUTION: dict[str, JsonValue] = {"role": "execution"}
EXPERIMENT: dict[str, JsonValue] = {"role": "experiment"}
"""Marks of fields, for `json_schema_extra`."""

Fraction = Annotated[float, Field(gt=0, lt=1)]

_FACTOR = TypeAdapter(Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)])
_FACTORS = TypeAdapter(tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...])


def _checked(decay: Any) -> Any:
    """Validate a number or a list by its own limits. A union type would report an error for both alternatives."""
    return (_FACTORS if isinstance(decay, list | tuple) else _FACTOR).validate_python(decay)


Decay = Annotated[float | tuple[float, ...], BeforeValidator(_checked)]

# IPython puts these into a kernel's namespace. All other plain values there come from the parameters cell.
_KERNEL_NAMES = frozenset({"In", "Out"})
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict)


class StageConfig(BaseModel):
    """Base of all configs.

    Fields marked `EXECUTION` say where and how a run is executed, not what it computes: they are not part of its name. Fields
    marked `EXPERIMENT` say which of the protocol's experiments it is. The defaults of all other fields are the protocol.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    stage: ClassVar[str]
    """The notebook this config belongs to, without `.ipynb`."""
    version: ClassVar[int] = 1
    """Part of the run's name. Increment it when the same parameters would compute something else, so that old results are not
    reused.
    """

    runs: str = Field("runs", description="folder of the run directories", json_schema_extra=EXECUTION)

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        """A config from parameters by name: the one gate for those of notebooks, YAML files, command lines and callers.

        Raises RotnetError naming every wrong parameter, its remedy and nearest match; see also `plain_values`.
        """
        if not isinstance(parameters, Mapping):
            raise RotnetError(f"{cls.stage}: parameters are given by name, not as {shown(parameters)}.")
        cls.check_names(parameters)
        values = plain_values(cls.stage, parameters)
        check_no_bool(cls, values, f"{cls.stage}: ")
        config = cls._build(values)
        plain_values(cls.stage, config.model_dump(mode="json"))  # "9" * 300 has become a number
        return config

    @classmethod
    def _build(cls, parameters: Mapping[str, Any]) -> Self:
        """The config of plain values with known names. Classes that fill parameters in do so here."""
        try:
            return cls.model_validate(dict(parameters))
        except ValidationError as error:
            raise RotnetError(cls._explain(error)) from None

    @classmethod
    def check_names(cls, parameters: Mapping[str, Any]) -> None:
        """Raises RotnetError for the first name that is no parameter of this stage, with the nearest match."""
        for name in parameters:
            if name not in cls.model_fields:
                raise unknown(f"parameter of {cls.stage}", name, cls.model_fields)

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """A config from a notebook's globals, called right after its parameters cell.

        Every plain value in the namespace must be a parameter. Papermill only logs a warning about an unknown one, and the
        run would use the default. So it would for a parameter that is set to something else, which `build` converts or refuses.
        """
        return cls.build(
            {
                name: value
                for name, value in namespace.items()
                if name in cls.model_fields
                or (not name.startswith("_") and name not in _KERNEL_NAMES and isinstance(value, _PLAIN))
            }
        )

    @classmethod
    def role(cls, field: str) -> str:
        """A field's role: `execution`, `experiment` or `protocol` (see the class)."""
        extra = cls.model_fields[field].json_schema_extra
        return str(extra["role"]) if isinstance(extra, dict) and "role" in extra else "protocol"

    def hashed_parameters(self) -> dict[str, Any]:
        """The parameters that decide what a run computes, as plain JSON values: they are hashed into its name."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if self.role(name) != "execution"}

    def protocol(self) -> dict[str, Any]:
        """The protocol's values for this experiment, as plain JSON values, by field."""
        fields = type(self).model_fields
        return {name: to_jsonable_python(fields[name].default) for name in fields if self.role(name) == "protocol"}

    def protocol_differences(self) -> dict[str, list[Any]]:
        """Field -> [the protocol's value, this config's value], where the two differ."""
        values = self.model_dump(mode="json")
        return {name: [asked, values[name]] for name, asked in self.protocol().items() if values[name] != asked}

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        lines = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "parameters"
            message = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "value_error" else f", not {shown(problem['input'])}"
            field = str(problem["loc"][0]) if problem["loc"] else ""
            described = cls.model_fields[field].description if field in cls.model_fields else None
            lines.append(f"{name}: {message}{given}" + (f" ({described})" if described else ""))
        return f"{cls.stage}: " + "\n".join(lines)


class RunConfig(StageConfig):
    """Fields of the stages that make runs: the seed, the data, the device."""

    seed: int = Field(0, ge=0, description="of the weights, the batch order and the augmentation", json_schema_extra=EXPERIMENT)
    # None is accepted as input only. `build` replaces it, so the attribute is never None.
    dataset: str = Field(None, description="its name, such as shapes or imagefolder:/path; None: the protocol's")  # type: ignore[assignment]
    train_size: int | None = Field(
        None, ge=1, description="training images, balanced over classes; None: all, or as the backbone's run"
    )
    test_size: int | None = Field(
        None, ge=1, description="test images, balanced over classes; None: all, or as the backbone's run"
    )

    workers: int | None = Field(
        None, ge=0, description="processes that read a streamed set; None: one a core", json_schema_extra=EXECUTION
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where there is one", json_schema_extra=EXECUTION
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; None: all cores", json_schema_extra=EXECUTION)

    @classmethod
    def _build(cls, parameters: Mapping[str, Any]) -> Self:
        """A parameter left at None takes the protocol's value for the arch, if there is one."""
        given = {name: value for name, value in parameters.items() if value is not None}
        asked = cls._protocol_values(given)
        return super()._build({name: value for name, value in asked.items() if name in cls.model_fields} | given)

    @classmethod
    def _protocol_values(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The protocol's values for a run with these parameters. Names that are no parameters of this stage are ignored."""
        arch = values.get("arch") or cls.model_fields["arch"].default
        return protocol_values(cls.stage, arch, kind_of(values))

    def protocol(self) -> dict[str, Any]:
        decided = to_jsonable_python(self._protocol_values(self.model_dump()))
        plain = super().protocol()
        return plain | {name: value for name, value in decided.items() if name in plain}

    @classmethod
    def takes(cls, dataset: str) -> bool:
        """Whether a dataset name is of the kind that this stage reads. The dataset itself need not exist."""
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

    image_size: int | None = Field(
        None,
        ge=8,
        description="side of the network's square inputs in pixels; None: the dataset's own, or as the backbone's run",
    )
    crop_pct: float = Field(  # type: ignore[assignment]
        None,
        gt=0,
        le=1,
        description="share of an image's shorter side that an input shows, 0.875 for 224 of 256 pixels; None: the protocol's",
    )
    grey: bool = Field(False, description="take the colour out of the images", json_schema_extra=EXPERIMENT)
    stream: bool = Field(  # type: ignore[assignment]
        None, description="decode image files batch by batch, for sets larger than memory; None: the dataset's own way"
    )
    shrink: int | None = Field(
        None,
        ge=8,
        description="read the images from a copy made once, its shorter side that many pixels; None: the files themselves",
    )

    max_damaged: float = Field(
        0.001, ge=0, le=1, description="share of image files that may be unreadable", json_schema_extra=EXECUTION
    )

    @classmethod
    def _protocol_values(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        asked = super()._protocol_values(values)
        return asked | {"stream": _streamed(values.get("dataset") or asked["dataset"])}

    @classmethod
    def takes(cls, dataset: str) -> bool:
        return dataset.partition(":")[0] in DATASETS

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

    lr: float = Field(None, ge=0, description="peak learning rate, for the batch size given; None: the protocol's")  # type: ignore[assignment]
    schedule: Literal["step", "one-cycle"] = Field(
        "step", description="step: lr x lr_decay after each milestone; one-cycle: linear up over a quarter, linear down"
    )
    lr_milestones: tuple[Fraction, ...] = Field(
        None,  # type: ignore[arg-type]
        description="fractions of the training after which the rate changes; None: the protocol's",
    )
    lr_decay: Decay = Field(  # type: ignore[assignment]
        None,
        description="factor at each milestone, or a list of one for each; None: the protocol's",
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
        None,
        ge=1,
        description="train on the first K images of each class, drawing as many an epoch as there are in all; None: all",
        json_schema_extra=EXPERIMENT,
    )
    epochs: int = Field(None, ge=1, description="passes over the training images; None: the protocol's")  # type: ignore[assignment]
    batch_size: int = Field(  # type: ignore[assignment]
        None, ge=2, description="images a step, before rotated copies; None: the protocol's"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on every trained parameter")
    augment: Augment = Field(
        None,  # type: ignore[arg-type]
        description="none; or with a random flip: pad-crop (by an eighth), random-crop, resized-crop; None: the protocol's",
    )
    colour_jitter: float = Field(
        0.0,
        ge=0,
        le=1,
        description="random change of brightness, contrast, saturation by up to this share, of hue by a quarter of it",
        json_schema_extra=EXPERIMENT,
    )

    compile: bool = Field(False, description="through torch.compile; costs a minute at the start", json_schema_extra=EXECUTION)
    gpus: int = Field(
        1,
        ge=1,
        description="processes to train with, by torchrun; on device cpu: processes on its cores",
        json_schema_extra=EXECUTION,
    )

    @model_validator(mode="after")
    def _equal_parts(self) -> Self:
        if self.batch_size % self.gpus:
            raise ValueError(
                f"gpus: a batch of {self.batch_size} images does not divide among {self.gpus} processes. "
                "Choose batch_size a multiple of gpus"
            )
        return self
