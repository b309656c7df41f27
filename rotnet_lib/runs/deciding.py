"""How the value of one parameter is found: what is said of it, the backbone's run, the preset, the protocol, in this order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from rotnet_lib.errors import RotnetError
from rotnet_lib.runs.resolution import AUTO, BACKBONE, PROTOCOL, UNLIMITED, Said, Upstream, WrongValue

if TYPE_CHECKING:
    from rotnet_lib.runs.stage_config import StageConfig

_Protocol = Callable[[], tuple[Mapping[str, Any], str]]
"""The protocol's values, and the part of it that they are from."""


class Decisions:
    """The parameters of a run that are decided so far.

    Args:
        schema: the stage's config.
        given: what is asked for, by parameter.
        origins: of what is given.
        follow: the parameters that are to follow the backbone's run, if they can, before what is given.
        by_key: what is asked for of parameters that have keys, the strongest first; it is not in `given`.

    Attributes:
        values: parameter -> value, in plain form.
        origins: parameter -> where its value comes from; of one that has keys, those too (`task_options.angles`).
    """

    def __init__(
        self,
        schema: type[StageConfig],
        given: Mapping[str, Any],
        origins: Mapping[str, str],
        follow: Collection[str],
        by_key: Mapping[str, Sequence[Said]],
    ) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self._schema, self._given, self._given_by, self._follow = schema, given, origins, follow
        self._by_key = by_key

    def decide(self, names: Sequence[str], preset: Sequence[Said], upstream: Upstream | None) -> None:
        """Decide parameters of which none decides what preset or protocol say of another.

        Args:
            names: the parameters.
            preset: what decides where neither what is given nor the backbone's run does, the strongest first.
            upstream: the run whose backbone is taken.
        """
        protocol = cache(lambda: (self._schema.protocol_for(self.values), self._schema.protocol_origin(self.values)))
        meaningless = self._schema.without_meaning(self.values)
        preset = [Said(one.origin, {n: v for n, v in one.values.items() if n not in meaningless}) for one in preset]
        for name in names:
            if name in meaningless and name in self._given:
                self._check_usual(name, meaningless[name], protocol()[0])
            if self._schema.has_keys(name):
                self._decide_keys(name, [*self._by_key.get(name, ()), *(one for one in preset if name in one.values)], protocol)
                continue
            weak = next(((one.values[name], one.origin) for one in preset if name in one.values), None)
            words = self._schema.words(name)
            follows = upstream is not None and BACKBONE in words and self._schema.follows(name, self.values, upstream)
            if upstream and follows and (name in self._follow or name not in self._given):
                self.values[name], self.origins[name] = upstream.parameters[name], f"{BACKBONE}: {upstream.name}"
            elif name in self._given:
                origin = self._given_by.get(name, self._schema.usual_origin(name))  # of the newest backbone
                self._enter(name, self._given[name], origin, protocol)
            elif weak:
                self._enter(name, *weak, protocol)
            elif words[-1:] == (BACKBONE,):
                raise RotnetError(self._schema.undecided(name, self.values))
            elif self._schema.role(name) == "protocol" and name in protocol()[0]:
                self._enter(name, PROTOCOL, PROTOCOL, protocol)
            elif words:
                self._enter(name, words[-1], self._schema.usual_origin(name), protocol)
            else:
                default = self._schema.model_fields[name].get_default(call_default_factory=True)
                self.values[name], self.origins[name] = default, self._schema.usual_origin(name)

    def _check_usual(self, name: str, why: str, protocol: Mapping[str, Any]) -> None:
        """Raises WrongValue if a parameter that means nothing is given another value than it has in any case."""
        usual = to_jsonable_python(protocol.get(name, self._schema.usual_value(name)))
        if self._given[name] not in (usual, PROTOCOL):
            raise WrongValue(name, f"{self._schema.stage}: {name}: {why}, so {name} means nothing. Leave it out.")

    def _decide_keys(self, name: str, sources: Sequence[Said], protocol: _Protocol) -> None:
        """Decide a parameter that has keys: what a stronger source does not say of one, a weaker one may."""
        values = self._schema.model_fields[name].get_default(call_default_factory=True)
        origins: dict[str, str] = {}
        for one in sources:
            said = one.values[name]
            if not isinstance(said, dict):
                self._enter(name, said, one.origin, protocol)  # wrong, which the config's own check says
                return
            for key in said:
                if (place := f"{name}.{key}") not in origins:
                    values[key], origins[place] = said[key], one.origin
        self.values[name] = values
        self.origins |= origins | {name: "; ".join(dict.fromkeys(origins.values())) or self._schema.usual_origin(name)}

    def _enter(self, name: str, value: Any, origin: str, protocol: _Protocol) -> None:
        """Enter a value, or what a word stands for."""
        words, role = self._schema.words(name), self._schema.role(name)
        self.origins[name] = origin
        word = value if isinstance(value, str) else ""
        if value is None and not UNLIMITED.intersection(words):
            raise WrongValue(
                name,
                f"{self._schema.stage}: {name}: null (None) says nothing. Say {' or '.join(words or (AUTO,))}, or a value.",
            )
        if word in UNLIMITED.intersection(words):
            value = None
        elif word == PROTOCOL and (PROTOCOL in words or role == "protocol"):
            decided, origin = protocol()
            if name in decided:
                value = decided[name]
            elif words[-1:] == (PROTOCOL,):
                return  # the arch is of another benchmark, which its field says
            else:
                value, origin = self._schema.usual_value(name), PROTOCOL
        self.values[name], self.origins[name] = value, origin
