"""What every stage's config shares. A stage is one notebook; its config is that notebook's parameters, typed.

The notebook's parameters cell, the suite YAML, the command line and the Python API all meet in these classes. Field
defaults are the published CIFAR-10 protocol of the stage; what a run changes of them is listed in its report.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from rotnet_lib.errors import RotnetError, unknown

EXECUTION: dict[str, JsonValue] = {"role": "execution"}
EXPERIMENT: dict[str, JsonValue] = {"role": "experiment"}
"""Marks of fields, for `json_schema_extra`."""

Fraction = Annotated[float, Field(gt=0, lt=1)]

# What IPython itself leaves in a kernel's namespace; everything else that is plain data came from a parameters cell.
_KERNEL_NAMES = frozenset({"In", "Out"})
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict)


class StageConfig(BaseModel):
    """What is common to every stage.

    Fields marked `EXECUTION` say where and how a run is carried out, not what it computes: they are no part of its name.
    Fields marked `EXPERIMENT` say which of the protocol's experiments it is; the defaults of the others are the protocol.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    stage: ClassVar[str]
    """The notebook this config belongs to, without `.ipynb`."""
    version: ClassVar[int] = 1
    """Part of the run's name: raise it when the same parameters come to mean another computation."""

    runs: str = Field("runs", description="folder of the run directories", json_schema_extra=EXECUTION)

    @classmethod
    def build(cls, parameters: Mapping[str, Any]) -> Self:
        """A config from plain values. Raises RotnetError naming every wrong parameter, its remedy and nearest match."""
        cls.check_names(parameters)
        try:
            return cls(**parameters)
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

        Every plain value in the namespace must be a parameter: papermill only logs a warning about one it does not
        know, and the run would go on with the default.
        """
        return cls.build(
            {
                name: value
                for name, value in namespace.items()
                if not name.startswith("_") and name not in _KERNEL_NAMES and isinstance(value, _PLAIN)
            }
        )

    @classmethod
    def role(cls, field: str) -> str:
        """`execution`, `experiment` or `protocol`: what a field says about a run."""
        extra = cls.model_fields[field].json_schema_extra
        return str(extra["role"]) if isinstance(extra, dict) and "role" in extra else "protocol"

    def identity(self) -> dict[str, Any]:
        """The parameters that decide the figures, as plain JSON values."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if self.role(name) != "execution"}

    def protocol(self) -> dict[str, Any]:
        """What the protocol says for this experiment: plain JSON values of the fields it decides."""
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
            given = "" if problem["type"] == "value_error" else f", not {problem['input']!r}"
            field = str(problem["loc"][0]) if problem["loc"] else ""
            described = cls.model_fields[field].description if field in cls.model_fields else None
            lines.append(f"{name}: {message}{given}" + (f" ({described})" if described else ""))
        return f"{cls.stage}: " + "\n".join(lines)


class RunConfig(StageConfig):
    """Fields of the stages that make runs: the seed, the data, the device."""

    seed: int = Field(0, ge=0, description="of the weights, the batch order and the augmentation", json_schema_extra=EXPERIMENT)
    dataset: str = Field("cifar10", description="cifar10, fashion-mnist, shapes or imagefolder:/path")
    image_size: int | None = Field(
        None, ge=8, description="side of the square images in pixels; None: the dataset's own, or as the backbone's run"
    )
    train_size: int | None = Field(
        None, ge=1, description="training images, balanced over classes; None: all, or as the backbone's run"
    )
    test_size: int | None = Field(
        None, ge=1, description="test images, balanced over classes; None: all, or as the backbone's run"
    )
    grey: bool = Field(False, description="take the colour out of the images", json_schema_extra=EXPERIMENT)

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where there is one", json_schema_extra=EXECUTION
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; None: all cores", json_schema_extra=EXECUTION)

    @property
    def slug(self) -> str:
        """Readable start of the run's name."""
        raise NotImplementedError


class TrainingConfig(RunConfig):
    """Fields of the stages that train: the labels, the optimiser and its schedule, the augmentation."""

    labels_per_class: int | None = Field(
        None,
        ge=1,
        description="train on the first K images of each class, drawing as many an epoch as there are in all; None: all",
        json_schema_extra=EXPERIMENT,
    )
    epochs: int = Field(100, ge=1, description="passes over the training images")
    batch_size: int = Field(128, ge=2, description="images a step, before rotated copies")
    lr: float = Field(0.1, ge=0, description="peak learning rate, for the batch size given")
    schedule: Literal["step", "one-cycle"] = Field(
        "step", description="step: lr x lr_decay after each milestone; one-cycle: linear up over a quarter, linear down"
    )
    lr_milestones: tuple[Fraction, ...] = Field(
        (0.3, 0.6, 0.8), description="fractions of the epochs after which the rate falls"
    )
    lr_decay: float = Field(0.2, gt=0, le=1, description="factor at each milestone")
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on every trained parameter")
    augment: bool = Field(True, description="random crop after padding by an eighth of the side, random horizontal flip")
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
