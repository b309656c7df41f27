"""Base classes of the stages' configs. A stage is one notebook; its config is that notebook's parameters, typed.

The notebook's parameters cell, the suite YAML, the command line and the Python API all resolve to these classes. Field defaults
are the published protocol of the stage, with `rotnet_lib.runs.protocols` for values that depend on the arch: such fields take
words in place of a default. A run's report lists where it differs from the protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, model_validator
from pydantic_core import to_jsonable_python

from rotnet_lib.data.augment import Augment
from rotnet_lib.data.source import DATASETS
from rotnet_lib.data.spec import DataSpec
from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.runs.plain import check_no_bool, plain_values
from rotnet_lib.runs.protocols import KIND, benchmark_of, kind_of, protocol_key, protocol_values
from rotnet_lib.runs.resolution import (
    ALL,
    AUTO,
    BACKBONE,
    CORES,
    GIVEN,
    NONE,
    OWN,
    PROTOCOL,
    UNLIMITED,
    Preset,
    Resolved,
    Said,
    Upstream,
)

EXECUTION: dict[str, JsonValue] = {"role": "execution"}
EXPERIMENT: dict[str, JsonValue] = {"role": "experiment"}
"""Marks of fields, for `json_schema_extra`."""

_FIRST = ("backbone", "arch", *KIND)
"""Fields that decide what protocol and preset say of the others."""

_ORDER = (*_FIRST, "dataset")
"""Fields that are decided before the others."""


def taking(*words: str) -> dict[str, JsonValue]:
    """The mark of a field that takes words in place of a value; see `StageConfig.words`."""
    return {"words": list(words)}


def _from(origin: str) -> str:
    return f" [{origin}]" if origin and origin != GIVEN else ""


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
        """The config that these parameters say, without a preset; see `resolve`."""
        return cls.resolve([Said(GIVEN, parameters)]).config

    @classmethod
    def resolve(
        cls,
        said: Sequence[Said],
        *,
        preset: Preset | None = None,
        planned: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Resolved[Self]:
        """A config, each of its values with its origin: the one gate for notebooks, YAML files, command lines and callers.

        A value comes from the first of these that has one: `said`; the backbone's run, where the parameter follows it; the
        preset; the protocol. Words of `runs.resolution` may stand for a value.

        Args:
            said: what is asked for, the strongest first.
            preset: what else is, where neither `said` nor the backbone's run decides.
            planned: parameters of runs that are not made yet, by name.

        Raises RotnetError naming every wrong parameter, its origin, its remedy and nearest match; see also `plain_values`.
        """
        given: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for one in said:
            for name, value in cls._checked(one.values).items():
                nothing = value == AUTO or (value is None and not cls.words(name))  # `RUNS=` of make, say
                if name not in given and not nothing:
                    given[name], origins[name] = value, one.origin
        upstream = cls.find_upstream(given, planned)
        values: dict[str, Any] = {}
        weak = Said("")
        for name in sorted(cls.model_fields, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
            if preset and name not in _FIRST and not weak.origin:
                weak = preset(values)
                weak = Said(weak.origin, cls._checked(weak.values))
            words = cls.words(name)
            if name in given:
                value, origin = given[name], origins.get(name, "")
            elif upstream and words[:1] == (BACKBONE,) and cls.follows(name, values, upstream):
                value, origin = BACKBONE, ""
            elif name in weak.values:
                value, origin = weak.values[name], weak.origin
            elif words:
                value, origin = words[0], ""
            else:
                value = cls.model_fields[name].get_default(call_default_factory=True)
                origin = cls._usual(name)
            cls._enter(name, value, origin, values, origins, upstream)
        return Resolved(cls._validated(cls.completed(values), origins), origins)

    @classmethod
    def _checked(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(parameters, Mapping):
            raise RotnetError(f"{cls.stage}: parameters are given by name, not as {shown(parameters)}.")
        cls.check_names(parameters)
        values = plain_values(cls.stage, parameters)
        check_no_bool(cls, values, f"{cls.stage}: ")
        return values

    @classmethod
    def _enter(
        cls,
        name: str,
        value: Any,
        origin: str,
        values: dict[str, Any],
        origins: dict[str, str],
        upstream: Upstream | None,
    ) -> None:
        """Enter a parameter's value, or what a word stands for, and its origin."""
        words = cls.words(name)
        if value is None and words and not UNLIMITED.intersection(words):
            raise RotnetError(f"{cls.stage}: {name}: None says nothing. Say {' or '.join(words)}, or a value.{_from(origin)}")
        word = value if isinstance(value, str) and value in words else ""
        if word == BACKBONE:
            if upstream and cls.follows(name, values, upstream):
                values[name], origins[name] = upstream.parameters[name], f"{BACKBONE}: {upstream.name}"
                return
            word = words[-1]
        if word in UNLIMITED:
            value = None
        elif word == PROTOCOL:
            decided = cls.protocol_for(values)
            if name not in decided:
                return  # the arch is of another benchmark, which its field says
            value, origin = decided[name], cls.protocol_origin(values)
        elif word:
            raise RotnetError(cls.undecided(name, values))
        values[name], origins[name] = value, origin or cls._usual(name)

    @classmethod
    def _usual(cls, name: str) -> str:
        """The origin of a parameter's usual value."""
        return PROTOCOL if cls.role(name) == "protocol" else "default"

    @classmethod
    def _validated(cls, values: Mapping[str, Any], origins: Mapping[str, str]) -> Self:
        try:
            config = cls.model_validate(dict(values))
        except ValidationError as error:
            raise RotnetError(cls._explain(error, origins)) from None
        plain_values(cls.stage, config.model_dump(mode="json"))  # "9" * 300 has become a number
        return config

    @classmethod
    def words(cls, field: str) -> tuple[str, ...]:
        """The words that a parameter takes (see `runs.resolution`): the first by default, the last where that says nothing."""
        extra = cls.model_fields[field].json_schema_extra
        return tuple(extra.get("words", ())) if isinstance(extra, dict) else ()  # type: ignore[arg-type]

    @classmethod
    def find_upstream(cls, given: dict[str, Any], planned: Mapping[str, Mapping[str, Any]]) -> Upstream | None:
        """The run whose backbone is taken, if the stage takes one. Checks and spells out in `given` what names it."""
        return None

    @classmethod
    def follows(cls, name: str, values: Mapping[str, Any], upstream: Upstream) -> bool:
        """Whether a parameter can follow the run whose backbone is taken."""
        return False

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The values, with what can only be found when all others are decided."""
        return values

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The protocol's values for a run with these parameters. Names that are no parameters of this stage are ignored."""
        return {}

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        """Which part of the protocol `protocol_for` takes them."""
        return PROTOCOL

    @classmethod
    def undecided(cls, name: str, values: Mapping[str, Any]) -> str:
        """The error for a parameter that should follow a run, where there is none."""
        return f"{cls.stage}: {name} must be given."

    @classmethod
    def check_names(cls, parameters: Mapping[str, Any]) -> None:
        """Raises RotnetError for the first name that is no parameter of this stage, with the nearest match."""
        for name in parameters:
            if name not in cls.model_fields:
                raise unknown(f"parameter of {cls.stage}", name, cls.model_fields)

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """The config of a notebook's globals; see `parameters_in` and `build`."""
        return cls.build(cls.parameters_in(namespace))

    @classmethod
    def parameters_in(cls, namespace: Mapping[str, Any], beside: Sequence[str] = ()) -> dict[str, Any]:
        """The parameters in a notebook's globals, called right after its parameters cell.

        Every plain value in the namespace must be a parameter. Papermill only logs a warning about an unknown one, and the
        run would use the default. So it would for a parameter that is set to something else, which `build` converts or refuses.

        Args:
            namespace: the notebook's globals.
            beside: names that are no fields and allowed all the same.
        """
        found = {
            name: value
            for name, value in namespace.items()
            if name in cls.model_fields
            or (not name.startswith("_") and name not in _KERNEL_NAMES and isinstance(value, _PLAIN))
        }
        cls.check_names({name: value for name, value in found.items() if name not in beside})
        return found

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
        decided = self.protocol_for(self.model_dump())
        found = {}
        for name in (name for name in type(self).model_fields if self.role(name) == "protocol"):
            words = self.words(name)
            if not words:
                found[name] = type(self).model_fields[name].default
            elif words[-1] in UNLIMITED:
                found[name] = None
            elif name in decided:
                found[name] = decided[name]
        plain: dict[str, Any] = to_jsonable_python(found)
        return plain

    def protocol_differences(self) -> dict[str, list[Any]]:
        """Field -> [the protocol's value, this config's value], where the two differ."""
        values = self.model_dump(mode="json")
        return {name: [asked, values[name]] for name, asked in self.protocol().items() if values[name] != asked}

    @classmethod
    def _explain(cls, error: ValidationError, origins: Mapping[str, str]) -> str:
        lines = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "parameters"
            message = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "value_error" else f", not {shown(problem['input'])}"
            field = str(problem["loc"][0]) if problem["loc"] else ""
            described = cls.model_fields[field].description if field in cls.model_fields else None
            lines.append(f"{name}: {message}{given}" + (f" ({described})" if described else "") + _from(origins.get(field, "")))
        return f"{cls.stage}: " + "\n".join(lines)


class RunConfig(StageConfig):
    """Fields of the stages that make runs: the seed, the data, the device."""

    seed: int = Field(0, ge=0, description="of the weights, the batch order and the augmentation", json_schema_extra=EXPERIMENT)
    dataset: str = Field(description="its name, such as shapes or imagefolder:/path", json_schema_extra=taking(PROTOCOL))
    train_size: int | None = Field(ge=1, description="training images, balanced over classes", json_schema_extra=taking(ALL))
    test_size: int | None = Field(ge=1, description="test images, balanced over classes", json_schema_extra=taking(ALL))

    workers: int | None = Field(
        ge=0, description="processes that read a streamed set", json_schema_extra=EXECUTION | taking(CORES)
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where there is one", json_schema_extra=EXECUTION
    )
    threads: int | None = Field(ge=1, description="CPU threads", json_schema_extra=EXECUTION | taking(CORES))

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
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
        ge=8, description="side of the network's inputs in pixels; own: the dataset's", json_schema_extra=taking(OWN)
    )
    crop_pct: float = Field(
        gt=0,
        le=1,
        description="share of the shorter side that an input shows: 0.875 for 224 of 256 pixels",
        json_schema_extra=taking(PROTOCOL),
    )
    grey: bool = Field(False, description="take the colour out of the images", json_schema_extra=EXPERIMENT)
    stream: bool = Field(
        description="decode image files batch by batch, for sets larger than memory", json_schema_extra=taking(PROTOCOL)
    )
    shrink: int | None = Field(
        ge=8,
        description="read a copy, made once, of that shorter side in pixels; none: the files",
        json_schema_extra=taking(NONE),
    )

    max_damaged: float = Field(
        0.001, ge=0, le=1, description="share of image files that may be unreadable", json_schema_extra=EXECUTION
    )

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        asked = super().protocol_for(values)
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

    lr: float = Field(ge=0, description="peak learning rate, for the batch size given", json_schema_extra=taking(PROTOCOL))
    schedule: Literal["step", "one-cycle"] = Field(
        "step", description="step: x lr_decay at each milestone; one-cycle: up over a quarter, down"
    )
    lr_milestones: tuple[Fraction, ...] = Field(
        description="fractions of the training after which the rate changes", json_schema_extra=taking(PROTOCOL)
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
        description="train on the first K images of each class, in epochs of usual length",
        json_schema_extra=EXPERIMENT | taking(ALL),
    )
    epochs: int = Field(ge=1, description="passes over the training images", json_schema_extra=taking(PROTOCOL))
    batch_size: int = Field(ge=2, description="images a step, before rotated copies", json_schema_extra=taking(PROTOCOL))
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
        description="random change of brightness, contrast, saturation by up to this, of hue by a quarter",
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
