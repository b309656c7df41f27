"""Base class of the stages' configs: where the value of each parameter comes from.

A stage is one notebook; its config is that notebook's parameters, typed. The notebook's parameters cell, the suite YAML, the
command line and the Python API all resolve to these classes. Field defaults are the published protocol of the stage; values
that depend on the arch are in `rotnet_lib.runs.protocols`, and their fields take words in place of a default. A run's report
lists where it differs from the protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.runs.plain import check_no_bool, plain_values
from rotnet_lib.runs.protocols import KIND
from rotnet_lib.runs.resolution import (
    AUTO,
    BACKBONE,
    GIVEN,
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
        fields = cls.model_fields
        first = [name for name in _ORDER if name in fields]
        protocol = cache(lambda: (cls.protocol_for(values), cls.protocol_origin(values)))
        for name in (*first, *(name for name in fields if name not in _ORDER)):
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
                value = fields[name].get_default(call_default_factory=True)
                origin = cls._usual(name)
            cls._enter(name, value, origin, values, origins, upstream, protocol)
            if name in first:
                protocol.cache_clear()  # it may decide what the protocol says of the others
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
        protocol: Callable[[], tuple[dict[str, Any], str]],
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
            decided, origin = protocol()
            if name not in decided:
                return  # the arch is of another benchmark, which its field says
            value = decided[name]
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
    @cache
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
        """The protocol's values for a run with these parameters, of which those in `_ORDER` alone decide.

        Names that are no parameters of this stage are ignored.
        """
        return {}

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        """The part of the protocol that the values of `protocol_for` are from."""
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
    @cache
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
