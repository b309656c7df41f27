"""What is said about a run's parameters, and the words that may be said in place of a value."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rotnet_lib.errors import RotnetError

AUTO = "auto"
"""As if the parameter were not named: the backbone's run decides, else the preset, else the protocol."""

PROTOCOL = "protocol"
"""The published protocol's value, whatever the preset says."""

BACKBONE = "backbone"
"""The value of the run whose backbone is taken. Of another dataset than that run's, the values of its images mean nothing."""

ALL, NONE, END, OWN, CORES, FOUND = "all", "none", "end", "own", "cores", "found"
"""All images; no value; the last epoch; the dataset's own size; one for each core; the runs that are found."""

UNLIMITED = frozenset({ALL, NONE, END, OWN, CORES, FOUND})
"""Words that become None, which stands for no limit."""

GIVEN = "given"
"""The origin of what a caller of the API says."""

Config = TypeVar("Config")


@dataclass(frozen=True)
class Said:
    """Parameters by name, and who says so: `-p`, `SET`, `suite table5`, `preset quick`."""

    origin: str
    values: Mapping[str, Any] = field(default_factory=dict)


Preset = Callable[[Mapping[str, Any]], Sequence[Said]]
"""What decides where neither the user nor the backbone's run does, the strongest first; by the parameters decided so far:
arch, task, classifier, recipe. It is asked for the dataset, then, with that decided too, for the others.
"""


class WrongValue(RotnetError):
    """A wrong value of a parameter; who catches it knows where the value is from."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def naming(field: str) -> Iterator[None]:
    """What goes wrong in the block is wrong with this parameter: a RotnetError becomes a `WrongValue`, unless it is one."""
    try:
        yield
    except WrongValue:
        raise
    except RotnetError as error:
        raise WrongValue(field, str(error)) from None


@dataclass(frozen=True)
class Upstream:
    """The run, or the file, whose backbone a run takes, and the parameters that are known of it."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved(Generic[Config]):
    """A config, and the origin of each of its parameters, such as `protocol: imagenet, probe.linear`.

    Of a parameter that has keys, the origins of those that somebody says are there too, as `task_options.angles`.
    """

    config: Config
    origins: Mapping[str, str]
