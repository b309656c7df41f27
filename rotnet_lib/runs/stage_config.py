"""Base class of the stages' configs: where the value of each parameter comes from.

A stage is one notebook; its config is that notebook's parameters, typed. The notebook's parameters cell, the suite YAML, the
command line and the Python API all resolve to these classes. Field defaults are the published protocol of the stage; values
that depend on the arch are in `rotnet_lib.runs.protocols`, and their fields take words in place of a default. A run's report
lists where it differs from the protocol.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from rotnet_lib.errors import RotnetError, shown, unknown
from rotnet_lib.runs.deciding import Decisions
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
    WrongValue,
    naming,
)

EXECUTION: dict[str, JsonValue] = {"role": "execution"}
EXPERIMENT: dict[str, JsonValue] = {"role": "experiment"}
"""Marks of fields, for `json_schema_extra`."""

DECIDING = (("backbone", "arch", *KIND), ("dataset",))
"""Fields that decide what protocol and preset say of others, in the order in which they are decided. Presets say nothing of the
first group.
"""


def taking(*words: str) -> dict[str, JsonValue]:
    """The mark of a field that takes words in place of a value; see `StageConfig.words`."""
    return {"words": list(words)}


def later(before: JsonValue) -> dict[str, JsonValue]:
    """The mark of a field that was added when its stage had finished runs already, all of which had the value `before`.

    With that value it is no part of a run's name, so that names stay.
    """
    return {"before": before}


def _from(origin: str) -> str:
    return f" [{origin}]" if origin and origin != GIVEN else ""


# IPython puts these into a kernel's namespace. All other plain values there come from the parameters cell.
_KERNEL_NAMES = frozenset({"In", "Out"})
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict)


class StageConfig(BaseModel):
    """Base of all configs.

    Fields marked `EXECUTION` say where and how a run is executed, not what it computes: they are not part of its name. Fields
    marked `EXPERIMENT` say which of the protocol's experiments it is. The defaults of all other fields are the protocol.
    Fields that are added to a stage that has finished runs are marked by `later`.
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
        preset; the protocol. Of a parameter that has keys, each key does. Words of `runs.resolution` may stand for a value.

        Args:
            said: what is asked for, the strongest first.
            preset: what else is, where neither `said` nor the backbone's run decides.
            planned: parameters of runs that are not made yet, by name.

        Raises RotnetError naming every wrong parameter, its origin, its remedy and nearest match; see also `plain_values`.
        """
        given: dict[str, Any] = {}
        origins: dict[str, str] = {}
        by_key: dict[str, list[Said]] = {}
        follow: set[str] = set()
        for one in said:
            for name, value in cls._checked(one).items():
                if name in given or value == AUTO or (name == "runs" and value is None):  # `RUNS=` of make
                    continue
                if cls.has_keys(name):
                    by_key.setdefault(name, []).append(Said(one.origin, {name: value}))
                elif value == BACKBONE and BACKBONE in cls.words(name):
                    follow.add(name)
                else:
                    given[name], origins[name] = value, one.origin
        decisions = Decisions(cls, given, origins, follow, by_key)
        groups = [[name for name in group if name in cls.model_fields] for group in DECIDING]
        early = {name for group in groups for name in group}
        try:
            with naming("backbone"):
                upstream = cls.find_upstream(given, planned)
            for group in (*groups, [name for name in cls.model_fields if name not in early]):
                weak = preset(decisions.values) if preset and group is not groups[0] else ()
                decisions.decide(group, [Said(one.origin, cls._checked(one)) for one in weak], upstream)
            config = cls._validated(cls.completed(decisions.values), decisions.origins)
            config.check_ancestors(planned)
        except WrongValue as wrong:
            raise RotnetError(f"{wrong}{_from((origins | decisions.origins).get(wrong.field, ''))}") from None
        return Resolved(config, decisions.origins)

    @classmethod
    def _checked(cls, said: Said) -> dict[str, Any]:
        if not isinstance(said.values, Mapping):
            raise RotnetError(f"{cls.stage}: parameters are given by name, not as {shown(said.values)}.")
        cls.check_names(said.values)
        try:
            values = plain_values(cls.stage, said.values)
            check_no_bool(cls, values, f"{cls.stage}: ")
        except RotnetError as error:
            raise RotnetError(f"{error}{_from(said.origin)}") from None
        return values

    @classmethod
    @cache
    def usual_origin(cls, name: str) -> str:
        """The origin of a parameter's usual value."""
        return PROTOCOL if cls.role(name) == "protocol" else "default"

    @classmethod
    def usual_value(cls, name: str) -> Any:
        """The value of a parameter that nobody says, and that neither the arch nor another run decides."""
        return None if cls.words(name) else cls.model_fields[name].get_default(call_default_factory=True)

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
        """The words that a parameter takes (see `runs.resolution`), the last where nobody says another, and no run is followed.

        All take `auto`, those whose role is protocol `protocol` too.
        """
        extra = cls.model_fields[field].json_schema_extra
        return tuple(extra.get("words", ())) if isinstance(extra, dict) else ()  # type: ignore[arg-type]

    @classmethod
    def word_of_none(cls, field: str) -> str | None:
        """The word by which a parameter's None is said: `all`, `none`, `end` ...; None if there is no such word."""
        return next((word for word in cls.words(field) if word in UNLIMITED), None)

    @classmethod
    @cache
    def has_keys(cls, field: str) -> bool:
        """Whether a parameter is a dictionary, whose keys may come from several sources."""
        return get_origin(cls.model_fields[field].annotation) is dict

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

    def check_ancestors(self, planned: Mapping[str, Mapping[str, Any]]) -> None:
        """Raises WrongValue for a parameter that does not go with those of the runs that this one builds on.

        Args:
            planned: parameters of runs that are not made yet, by name.
        """

    @classmethod
    def protocol_for(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The protocol's values for a run with these parameters, of which those in `DECIDING` alone decide.

        Names that are no parameters of this stage are ignored.
        """
        return {}

    @classmethod
    def protocol_origin(cls, values: Mapping[str, Any]) -> str:
        """The part of the protocol that the values of `protocol_for` are from."""
        return PROTOCOL

    @classmethod
    def without_meaning(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        """The parameters that mean nothing in a run with these values, each with the reason.

        They have the protocol's value, whatever a preset says. Of the values, those in `DECIDING` alone decide.
        """
        return {}

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
        values, left_out = self.model_dump(mode="json"), self.later_parameters()
        return {name: value for name, value in values.items() if self.role(name) != "execution" and name not in left_out}

    def later_parameters(self) -> list[str]:
        """The parameters marked by `later` that have the value which all runs had before."""
        return [name for name, value in self.model_dump(mode="json").items() if self.is_as_before(name, value)]

    @classmethod
    def is_as_before(cls, name: str, value: JsonValue) -> bool:
        """Whether a parameter is marked by `later` and has the value which all runs had before."""
        extra = cls.model_fields[name].json_schema_extra
        return isinstance(extra, dict) and "before" in extra and extra["before"] == value

    def protocol(self) -> dict[str, Any]:
        """The protocol's values for this experiment, as plain JSON values, by field."""
        decided = self.protocol_for(self.model_dump())
        found = {}
        for name in (name for name in type(self).model_fields if self.role(name) == "protocol"):
            if name in decided:
                found[name] = decided[name]
            elif self.words(name)[-1:] != (PROTOCOL,):
                found[name] = self.usual_value(name)
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
            message = problem["msg"].removeprefix("Value error, ")
            # An error of all fields together begins with the name of the one to change.
            field = str(problem["loc"][0]) if problem["loc"] else message.partition(":")[0]
            name = "".join(f"{part}." for part in problem["loc"])[:-1]
            given = "" if problem["type"] == "value_error" else f", not {shown(problem['input'])}"
            described = words = ""
            if field in cls.model_fields:
                described = cls.model_fields[field].description or ""
                known = dict.fromkeys((AUTO, *cls.words(field), *([PROTOCOL] if cls.role(field) == "protocol" else [])))
                words = f"; words for it: {', '.join(known)}" if isinstance(problem["input"], str) else ""
            lines.append(
                (f"{name}: " if name else "")
                + f"{message}{given}{words}"
                + (f" ({described})" if described and name else "")
                + _from(origins.get(field, ""))
            )
        return f"{cls.stage}: " + "\n".join(lines)
